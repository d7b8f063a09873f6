//! The rule itself, pure: (record, event, now) to (change, answer). It knows neither tower nor tokio nor a database.
//!
//! Every store loads a record, asks one of these functions, and writes the change, all under one lock or transaction.
//! `now` is the store's own clock.

use super::{
    Begin, Begun, Completion, Doubt, Held, Phase, Record, Resolution, Resolve, Resolved, Settled, Settlement,
    Token,
};
use crate::clock::Timestamp;
use std::time::Duration;

/// What to write.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "it lives for one step, and a box would cost every step an allocation"
)]
pub enum Change {
    /// Nothing.
    Keep,
    /// This record.
    Put(Record),
    /// Nothing any more: remove it.
    Remove,
}

/// How long a caller that meets an armed record is told to wait: what runs there usually answers within seconds.
const ARMED_RETRY: Duration = Duration::from_secs(1);

/// T1. The fingerprint is compared first, before in-flight and replay: another amount must be a hard error, not
/// "try again later".
#[must_use]
pub fn begin(record: Option<&Record>, begin: &Begin, now: Timestamp) -> (Change, Begun) {
    let Some(record) = record else {
        return acquire(1, begin, now);
    };
    if record.fingerprint != begin.fingerprint {
        return (Change::Keep, Begun::Mismatch);
    }
    let lapsed = record.lease_until < now;
    match record.phase {
        Phase::Completed if is_past(record.expires_at, now) => (Change::Keep, Begun::Expired),
        Phase::Completed => match &record.completion {
            Some(completion) => (Change::Keep, Begun::Replay(completion.clone())),
            // no store of ours writes this; never treat it as absent
            None => (Change::Keep, Begun::Expired),
        },
        Phase::Expired => (Change::Keep, Begun::Expired),
        Phase::Released => acquire(record.epoch.saturating_add(1), begin, now),
        // our own begin whose answer was lost
        Phase::Prepared | Phase::Armed if record.owner == begin.owner && !lapsed => (
            again(record, begin, now),
            Begun::Acquired(token_of(record, begin)),
        ),
        Phase::Prepared if lapsed => acquire(record.epoch.saturating_add(1), begin, now),
        Phase::Prepared => (
            Change::Keep,
            Begun::InFlight {
                retry_after: wait(record.lease_until, now),
            },
        ),
        Phase::Armed if lapsed => (Change::Put(lost(record, now)), Begun::Unknown { since: now }),
        Phase::Armed => (
            Change::Keep,
            Begun::InFlight {
                retry_after: ARMED_RETRY,
            },
        ),
        Phase::Unknown => (
            Change::Keep,
            Begun::Unknown {
                since: record.changed_at,
            },
        ),
    }
}

/// T1 under a cap: as [`begin`], but what would be acquired anew (a new key, a released one, a lapsed claim) is not while
/// [`most_open`](Begin::most_open) outcomes of its tenant, or more, are unknown. Whoever asks again for a claim that it holds, and
/// whoever is told how another one ended, is never refused, and nothing but an acquisition is: a doubt that exists is written down.
///
/// `open` counts the tenant's records that are `Unknown` (it may stop at `most_open`), and is asked only if that decides. An armed
/// record whose owner was lost counts from the sweep on. Claims under way are not counted, so as many more outcomes may become
/// unknown as calls were running when the cap was reached.
#[must_use]
pub fn begin_within(
    record: Option<&Record>,
    begin: &Begin,
    open: impl FnOnce() -> u32,
    now: Timestamp,
) -> (Change, Begun) {
    // what is free under this fingerprint would be acquired, and nothing else would be anew
    let anew = record.is_none_or(|held| held.fingerprint == begin.fingerprint && is_free(held, now));
    if anew && begin.most_open != u32::MAX && open() >= begin.most_open {
        return (Change::Keep, Begun::TooManyOpen);
    }
    self::begin(record, begin, now)
}

fn acquire(epoch: u64, begin: &Begin, now: Timestamp) -> (Change, Begun) {
    let record = Record {
        phase: if begin.arm { Phase::Armed } else { Phase::Prepared },
        epoch,
        owner: begin.owner,
        fingerprint: begin.fingerprint,
        tenant: begin.tenant,
        lease_until: now.saturating_add(begin.lease),
        expires_at: None,
        retention: begin.retention,
        changed_at: now,
        doubt: None,
        completion: None,
        evidence: None,
    };
    let token = token_of(&record, begin);
    (Change::Put(record), Begun::Acquired(token))
}

/// An owner that is told "acquired" by a begin that arms sends without asking again, so the record must be armed by then,
/// also when an earlier begin of the same owner only prepared it.
fn again(record: &Record, begin: &Begin, now: Timestamp) -> Change {
    if begin.arm && record.phase == Phase::Prepared {
        Change::Put(Record {
            phase: Phase::Armed,
            lease_until: now.saturating_add(begin.lease),
            changed_at: now,
            ..record.clone()
        })
    } else {
        Change::Keep
    }
}

const fn token_of(record: &Record, begin: &Begin) -> Token {
    Token {
        key: begin.key,
        epoch: record.epoch,
        owner: record.owner,
    }
}

fn wait(until: Timestamp, now: Timestamp) -> Duration {
    until.since(now).saturating_add(Duration::from_millis(1))
}

fn is_free(record: &Record, now: Timestamp) -> bool {
    match record.phase {
        Phase::Released => true,
        Phase::Prepared => record.lease_until < now,
        _ => false,
    }
}

fn is_past(expires_at: Option<Timestamp>, now: Timestamp) -> bool {
    expires_at.is_some_and(|at| at <= now)
}

fn lost(record: &Record, now: Timestamp) -> Record {
    Record {
        phase: Phase::Unknown,
        doubt: Some(Doubt::OwnerLost),
        changed_at: now,
        ..record.clone()
    }
}

fn held_by<'r>(record: Option<&'r Record>, token: &Token) -> Option<&'r Record> {
    record.filter(|record| (record.epoch, record.owner) == (token.epoch, token.owner))
}

/// T2. A stale owner fails here, before it does anything.
#[must_use]
pub fn arm(record: Option<&Record>, token: &Token, lease: Duration, now: Timestamp) -> (Change, Held) {
    match held_by(record, token) {
        Some(record) if record.phase == Phase::Prepared && record.lease_until >= now => {
            let lease_until = now.saturating_add(lease);
            (
                Change::Put(Record {
                    phase: Phase::Armed,
                    lease_until,
                    changed_at: now,
                    ..record.clone()
                }),
                Held::Held,
            )
        }
        // our own arm whose answer was lost
        Some(record) if record.phase == Phase::Armed && record.lease_until >= now => {
            (Change::Keep, Held::Held)
        }
        _ => (Change::Keep, Held::Fenced),
    }
}

/// T3. An owner that comes back from a freeze after its lease lapsed is fenced while `Prepared`; while `Armed` nobody
/// else can have taken over, so the lease is simply extended.
#[must_use]
pub fn renew(record: Option<&Record>, token: &Token, lease: Duration, now: Timestamp) -> (Change, Held) {
    match held_by(record, token) {
        Some(record)
            if record.phase == Phase::Armed
                || (record.phase == Phase::Prepared && record.lease_until >= now) =>
        {
            (
                Change::Put(Record {
                    lease_until: now.saturating_add(lease),
                    ..record.clone()
                }),
                Held::Held,
            )
        }
        _ => (Change::Keep, Held::Fenced),
    }
}

/// T4 to T7. Idempotent: its acknowledgement can be lost, and it is the one write that must not be given up early.
#[must_use]
pub fn settle(
    record: Option<&Record>,
    token: &Token,
    settlement: &Settlement,
    now: Timestamp,
) -> (Change, Settled) {
    let Some(found) = record else {
        return (Change::Keep, Settled::Gone);
    };
    let Some(record) = held_by(record, token) else {
        return (Change::Keep, Settled::Fenced(found.phase));
    };
    match (record.phase, settlement) {
        (Phase::Completed, Settlement::Completed(c)) if record.completion.as_ref() == Some(c) => {
            (Change::Keep, Settled::AlreadyApplied)
        }
        (Phase::Released, Settlement::Released) | (Phase::Unknown, Settlement::Unknown(_)) => {
            (Change::Keep, Settled::AlreadyApplied)
        }
        (Phase::Prepared | Phase::Armed | Phase::Unknown, Settlement::Completed(completion)) => (
            Change::Put(completed(record, completion.clone(), now)),
            Settled::Applied,
        ),
        (Phase::Prepared | Phase::Armed, Settlement::Released) => {
            (Change::Put(released(record, now)), Settled::Applied)
        }
        // the sweeper took the owner for lost, but here is its own proof
        (Phase::Unknown, Settlement::Released) if record.doubt == Some(Doubt::OwnerLost) => {
            (Change::Put(released(record, now)), Settled::Applied)
        }
        // somebody declared absence while the owner was only slow: its own word that the effect happened, or may have, counts
        // as long as nobody has run the key again (then the epoch is another, and the token is stale)
        (Phase::Released, Settlement::Completed(completion)) if record.evidence.is_some() => (
            Change::Put(completed(record, completion.clone(), now)),
            Settled::Applied,
        ),
        (Phase::Released, Settlement::Unknown(doubt)) if record.evidence.is_some() => {
            let unknown = Record {
                phase: Phase::Unknown,
                doubt: Some(*doubt),
                changed_at: now,
                expires_at: None,
                ..record.clone()
            };
            (Change::Put(unknown), Settled::Applied)
        }
        (Phase::Prepared | Phase::Armed, Settlement::Unknown(doubt)) => {
            let unknown = Record {
                phase: Phase::Unknown,
                doubt: Some(*doubt),
                changed_at: now,
                ..record.clone()
            };
            (Change::Put(unknown), Settled::Applied)
        }
        (phase, _) => (Change::Keep, Settled::Fenced(phase)),
    }
}

fn completed(record: &Record, completion: Completion, now: Timestamp) -> Record {
    Record {
        phase: Phase::Completed,
        completion: Some(completion),
        doubt: None,
        changed_at: now,
        expires_at: Some(now.saturating_add(record.retention)),
        ..record.clone()
    }
}

fn released(record: &Record, now: Timestamp) -> Record {
    Record {
        phase: Phase::Released,
        doubt: None,
        changed_at: now,
        expires_at: Some(now.saturating_add(record.retention)),
        ..record.clone()
    }
}

/// T9. Absence can be declared only by somebody who looked after the owner's lease had lapsed: until then it may be frozen and
/// still send, and what it sends arrives behind the back of whoever looked before.
#[must_use]
pub fn resolve(record: Option<&Record>, resolve: &Resolve, now: Timestamp) -> (Change, Resolved) {
    let in_doubt = |r: &&Record| match r.phase {
        Phase::Unknown => true,
        Phase::Armed => r.lease_until < now,
        _ => false,
    };
    let Some(record) = record.filter(in_doubt).filter(|r| r.epoch == resolve.epoch) else {
        return (Change::Keep, Resolved::Stale);
    };
    let next = match &resolve.resolution {
        Resolution::Completed(completion) => completed(record, completion.clone(), now),
        Resolution::Released if record.lease_until >= resolve.as_of.min(now) => {
            return (
                Change::Keep,
                Resolved::TooEarly {
                    retry_after: wait(record.lease_until, now),
                },
            );
        }
        Resolution::Released => released(record, now),
    };
    (
        Change::Put(Record {
            evidence: Some(resolve.evidence.clone()),
            ..next
        }),
        Resolved::Resolved,
    )
}

/// T8. Armed and silent for longer than the lease: nobody knows any more.
#[must_use]
pub fn sweep(record: &Record, now: Timestamp) -> Change {
    match record.phase {
        Phase::Armed if record.lease_until < now => Change::Put(lost(record, now)),
        _ => Change::Keep,
    }
}

/// T12. Never touches `Armed` and `Unknown`.
#[must_use]
pub fn collect(record: &Record, tombstone: Duration, now: Timestamp) -> Change {
    match record.phase {
        Phase::Completed if is_past(record.expires_at, now) => Change::Put(Record {
            phase: Phase::Expired,
            completion: None,
            expires_at: Some(now.saturating_add(tombstone)),
            changed_at: now,
            ..record.clone()
        }),
        Phase::Released | Phase::Expired if is_past(record.expires_at, now) => Change::Remove,
        Phase::Prepared if record.lease_until.saturating_add(record.retention) < now => Change::Remove,
        _ => Change::Keep,
    }
}

/// Whether the record's outcome is open and nobody can be expected to settle it.
#[must_use]
pub fn is_unresolved(record: &Record, now: Timestamp) -> bool {
    match record.phase {
        Phase::Unknown => true,
        Phase::Armed => record.lease_until < now,
        _ => false,
    }
}
