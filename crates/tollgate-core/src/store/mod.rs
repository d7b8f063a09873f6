//! The storage ports: one atomic question each.
//!
//! | port | asked by | memory | SQLite | PostgreSQL | Redis |
//! |---|---|---|---|---|---|
//! | [`audit`] | the audit layer | x | x | x | |
//! | [`carry_over`] | whoever reconciles | x | x | x | |
//! | [`dedup`] | the webhook layer | x | x | x | x |
//! | [`idempotency`] | the idempotency layer | x | x | x | x |
//! | [`quota`] | the rate-limit layer | x | x | x | x |
//! | [`saga`] | the saga engine | x | x | x | |
//! | [`velocity`] | fraud rules | x | x | x | x |
//!
//! # What every port promises
//!
//! * A call is **atomic**: it happened whole or not at all, and two calls on one key never both win.
//! * A write that failed **says whether it may have happened** ([`StoreError::may_have_happened`]).
//! * Time that decides anything (leases, windows, retention) is **the store's own**: the database's clock, the
//!   server's `TIME`. Callers pass durations, and no instants but those that the store told them.
//! * Times are kept **to the microsecond**. What is finer in a duration may be dropped, and what is too long for a store lasts as long as
//!   it can.
//! * What cannot be read is an **error** ([`StoreErrorKind::Unreadable`]), never absent: absent would run again.
//! * No method has a default that promises less than the method.
//!
//! # Writing a store
//!
//! Implement the port, choose how it answers with one associated type ([`std::future::Ready`] when it answers at
//! once, [`Boxed`] for drivers, a channel's receiver for a writer thread), state its [`Capabilities`] truthfully, and
//! run `tollgate_testkit::conformance` over it. The decisions are pure functions in each port's `rule` module: a
//! store that loads a record, asks the rule and writes the change back under one lock or transaction is right by
//! construction; each method of a port names its function. `tollgate_testkit` has such a store, whole and small, among its own tests
//! (`tests/own_store`): records in a file, by the standard library alone. What no test can see are capabilities that are claimed and not
//! there: whether a write outlives its process, only a test that opens the store anew can tell (`tollgate_testkit::histories::Trial`).
//!
//! A store behind a server can have steps that wait at the same moment share a round trip: feature `together`.

pub mod audit;
pub mod carry_over;
pub mod dedup;
pub mod idempotency;
pub mod memory;
pub mod quota;
pub mod saga;
#[cfg(feature = "together")]
pub mod together;
pub mod velocity;

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// How most stores answer: a boxed future.
pub type Boxed<T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send>>;

/// What a store promises beyond atomicity. A layer refuses at build time to guard money with one that is too weak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Capabilities {
    /// A write that was acknowledged survives a crash of process and machine.
    pub durable: bool,
    /// Every reader sees every acknowledged write, also from other processes that share the store.
    pub linearizable: bool,
    /// The caller's own rows can commit together with the store's.
    pub transactional: bool,
    /// An acknowledged write survives the loss of the machine that took it.
    pub survives_failover: bool,
}

impl Capabilities {
    /// Lives and dies with this process.
    pub const IN_MEMORY: Self = Self {
        durable: false,
        linearizable: true,
        transactional: false,
        survives_failover: false,
    };

    /// What it takes to guard money on one machine.
    #[must_use]
    pub const fn guards_money(&self) -> bool {
        self.durable && self.linearizable
    }
}

/// Why a store could not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// It does not answer, or not in time.
    Unavailable,
    /// It holds something that this build cannot read.
    Unreadable,
    /// It has no room left.
    Full,
    /// It was asked for something it cannot do.
    Unsupported,
}

/// A store's failure, and whether the write may have happened all the same.
///
/// ```
/// use tollgate_core::store::{StoreError, StoreErrorKind};
///
/// let lost = StoreError::unavailable("the answer to COMMIT was lost").possibly_applied();
/// assert!(lost.may_have_happened());
/// assert!(!StoreError::new(StoreErrorKind::Full, "no room").may_have_happened());
/// ```
#[derive(Clone)]
pub struct StoreError {
    kind: StoreErrorKind,
    may_have_happened: bool,
    message: Arc<str>,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl StoreError {
    /// A failure of which it is certain that nothing was written.
    #[must_use]
    pub fn new(kind: StoreErrorKind, message: impl Into<Arc<str>>) -> Self {
        Self {
            kind,
            may_have_happened: false,
            message: message.into(),
            source: None,
        }
    }

    /// The store did not answer; nothing was written.
    #[must_use]
    pub fn unavailable(message: impl Into<Arc<str>>) -> Self {
        Self::new(StoreErrorKind::Unavailable, message)
    }

    /// Marks that the write may have happened (default: it did not).
    #[must_use]
    pub fn possibly_applied(mut self) -> Self {
        self.may_have_happened = true;
        self
    }

    /// Sets what caused it (default: nothing).
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into().into());
        self
    }

    /// Why.
    #[must_use]
    pub const fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    /// Whether the write may have happened. When in doubt, a store answers `true`.
    #[must_use]
    pub const fn may_have_happened(&self) -> bool {
        self.may_have_happened
    }
}

impl fmt::Debug for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreError")
            .field("kind", &self.kind)
            .field("may_have_happened", &self.may_have_happened)
            .field("message", &self.message)
            .field("source", &self.source)
            .finish()
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if self.may_have_happened {
            f.write_str(" (the write may have happened)")
        } else {
            Ok(())
        }
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn Error + 'static))
    }
}
