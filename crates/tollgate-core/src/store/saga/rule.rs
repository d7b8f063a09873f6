//! The fence, pure.

use super::{Fenced, SagaState};
use crate::clock::Timestamp;
use std::time::Duration;

/// A saga's row, without its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Where it stands.
    pub state: SagaState,
    /// The last claim's epoch.
    pub epoch: u64,
    /// How many records it has.
    pub records: u64,
    /// When its engine counts as lost.
    pub lease_until: Timestamp,
}

/// Whether an append may be written, and the row after it.
#[must_use]
pub fn append(
    row: &Row,
    epoch: u64,
    seen: u64,
    added: u64,
    state: SagaState,
    lease: Duration,
    now: Timestamp,
) -> (Fenced, Row) {
    if row.epoch != epoch || row.records != seen {
        return (Fenced::Yes, *row);
    }
    let lease_until = now.saturating_add(lease);
    (
        Fenced::No,
        Row {
            state,
            records: seen.saturating_add(added),
            lease_until,
            ..*row
        },
    )
}

/// Whether an engine may claim it: there is something to do, and nobody does it.
#[must_use]
pub fn is_claimable(row: &Row, now: Timestamp) -> bool {
    row.state.is_active() && row.lease_until <= now
}

/// The row after a claim.
#[must_use]
pub fn claimed(row: &Row, lease: Duration, now: Timestamp) -> Row {
    Row {
        epoch: row.epoch.saturating_add(1),
        lease_until: now.saturating_add(lease),
        ..*row
    }
}
