//! Each event processed once, and none lost: two-phase deduplication for webhooks.
//!
//! ```text
//! Absent ─claim▶ Claimed ─commit▶ Done ─retention▶ Absent
//!                  │ ├─ release (the handler failed) ─▶ Absent
//!                  │ └─ lease lapsed (the process died): may be claimed again
//! ```
//!
//! Marking an event *before* it is processed loses it when the process dies in between: the redelivery is acknowledged and
//! nobody ever processes it (seed W9). So an event is claimed, processed, and only then done.

pub mod rule;
#[cfg(test)]
mod tests;

use super::StoreError;
use crate::clock::Timestamp;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// Names an event: a hash of endpoint, scheme and signed id, so that two accounts that number alike stay apart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventKey(pub [u8; 32]);

impl fmt::Debug for EventKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventKey({}..)", crate::id::hex(&self.0[..4]))
    }
}

/// A digest of the event's bytes: the same id with other bytes is not the same event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EventDigest(pub [u8; 32]);

/// Asks to process an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Which event.
    pub key: EventKey,
    /// Its bytes.
    pub digest: EventDigest,
    /// How long the handler may take before another delivery may take over.
    pub lease: Duration,
}

/// The answer to a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// The caller processes it.
    Acquired(Ticket),
    /// Another delivery is processing it.
    InProgress {
        /// When that delivery counts as lost.
        retry_after: Duration,
    },
    /// It was processed.
    Done,
    /// The id was seen with other bytes.
    Conflict,
}

/// Proof of a claim: the fence goes up by one at each claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// Which event.
    pub key: EventKey,
    /// Which claim of it.
    pub fence: u64,
}

/// One event, as the rule sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventRecord {
    /// Its bytes.
    pub digest: EventDigest,
    /// How often it was claimed.
    pub fence: u64,
    /// Whether it was processed.
    pub done: bool,
    /// While claimed, when the claim lapses; once done, when it may be forgotten.
    pub until: Timestamp,
}

/// The port. Each method is one atomic step of [`rule`].
pub trait DedupStore: Send + Sync + 'static {
    /// How it answers.
    type Future<T: Send + 'static>: Future<Output = Result<T, StoreError>> + Send + Unpin + 'static;

    /// Claims an event, or says why not.
    fn claim(&self, claim: Claim) -> Self::Future<Claimed>;

    /// Marks it processed, and keeps it for `retention`. `false` when the claim was lost meanwhile.
    fn commit(&self, ticket: Ticket, retention: Duration) -> Self::Future<bool>;

    /// Gives it back unprocessed. `false` when the claim was lost meanwhile.
    fn release(&self, ticket: Ticket) -> Self::Future<bool>;

    /// Forgets up to `limit` events whose retention is over. How many it was.
    fn forget(&self, limit: u32) -> Self::Future<u64>;
}

/// A shared store is a store.
impl<S: DedupStore> DedupStore for Arc<S> {
    type Future<T: Send + 'static> = S::Future<T>;

    fn claim(&self, claim: Claim) -> Self::Future<Claimed> {
        (**self).claim(claim)
    }
    fn commit(&self, ticket: Ticket, retention: Duration) -> Self::Future<bool> {
        (**self).commit(ticket, retention)
    }
    fn release(&self, ticket: Ticket) -> Self::Future<bool> {
        (**self).release(ticket)
    }
    fn forget(&self, limit: u32) -> Self::Future<u64> {
        (**self).forget(limit)
    }
}
