//! The rule itself, pure.

use super::{Claim, Claimed, EventRecord, Ticket};
use crate::clock::Timestamp;
use std::time::Duration;

/// What to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    Keep,
    /// This record.
    Put(EventRecord),
}

/// Claims. A record that is done and past its retention is as good as absent, but its fence goes on.
#[must_use]
pub fn claim(record: Option<&EventRecord>, claim: &Claim, now: Timestamp) -> (Change, Claimed) {
    let fence = match record {
        None => 0,
        Some(record) if record.done && record.until <= now => record.fence,
        Some(record) if record.digest != claim.digest => return (Change::Keep, Claimed::Conflict),
        Some(record) if record.done => return (Change::Keep, Claimed::Done),
        Some(record) if record.until > now => {
            return (
                Change::Keep,
                Claimed::InProgress {
                    retry_after: record.until.since(now),
                },
            );
        }
        Some(record) => record.fence,
    };
    let fence = fence.saturating_add(1);
    let until = now.saturating_add(claim.lease);
    let next = EventRecord {
        digest: claim.digest,
        fence,
        done: false,
        until,
    };
    (
        Change::Put(next),
        Claimed::Acquired(Ticket {
            key: claim.key,
            fence,
        }),
    )
}

/// Commits. A stale fence commits nothing; a claim whose lease lapsed still may, as long as nobody took over.
#[must_use]
pub fn commit(
    record: Option<&EventRecord>,
    ticket: &Ticket,
    retention: Duration,
    now: Timestamp,
) -> (Change, bool) {
    match record {
        Some(record) if record.fence == ticket.fence && record.done => (Change::Keep, true),
        Some(record) if record.fence == ticket.fence => {
            let until = now.saturating_add(retention);
            (
                Change::Put(EventRecord {
                    done: true,
                    until,
                    ..*record
                }),
                true,
            )
        }
        _ => (Change::Keep, false),
    }
}

/// Releases: the lease ends now. The record is kept, so that the fence goes on rising.
#[must_use]
pub fn release(record: Option<&EventRecord>, ticket: &Ticket, now: Timestamp) -> (Change, bool) {
    match record {
        Some(record) if record.fence == ticket.fence && !record.done => (
            Change::Put(EventRecord {
                until: now,
                ..*record
            }),
            true,
        ),
        _ => (Change::Keep, false),
    }
}

/// Whether it may be forgotten: done and past its retention, or released and never claimed again for a day.
#[must_use]
pub fn is_forgettable(record: &EventRecord, now: Timestamp) -> bool {
    const UNPROCESSED: Duration = Duration::from_secs(24 * 60 * 60);
    if record.done {
        record.until <= now
    } else {
        record.until.saturating_add(UNPROCESSED) <= now
    }
}
