//! How much happened lately: the counters behind velocity rules.
//!
//! Counting and recording are one atomic question. Counting first and recording later lets everybody through who asks in between
//! (seed F2: 50 of 50 approved at a limit of 5).

use super::StoreError;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// Names a counter: a keyed hash ([`Secrets::pseudonym`](crate::Secrets::pseudonym)) of rule, window and subject. A counter has one
/// window: a store may forget an event once the window that it was recorded with has passed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VelocityKey(pub [u8; 32]);

impl fmt::Debug for VelocityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VelocityKey({}..)", crate::id::hex(&self.0[..4]))
    }
}

/// Asks to record an event, if that stays within the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admit {
    /// Which counter.
    pub key: VelocityKey,
    /// How far back events count: always the same for one key.
    pub window: Duration,
    /// How much this event weighs: 1, or an amount in minor units.
    pub weight: u64,
    /// The most that may fall into the window, this event included.
    pub limit: u64,
}

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// Whether the event was recorded.
    pub within: bool,
    /// What falls into the window now.
    pub total: u64,
}

/// The port.
pub trait VelocityStore: Send + Sync + 'static {
    /// How it answers.
    type Future<T: Send + 'static>: Future<Output = Result<T, StoreError>> + Send + Unpin + 'static;

    /// Records the event unless that would exceed the limit, atomically. Events older than the window are forgotten.
    fn admit(&self, admit: Admit) -> Self::Future<Admitted>;
}

/// A shared store is a store.
impl<S: VelocityStore> VelocityStore for Arc<S> {
    type Future<T: Send + 'static> = S::Future<T>;

    fn admit(&self, admit: Admit) -> Self::Future<Admitted> {
        (**self).admit(admit)
    }
}
