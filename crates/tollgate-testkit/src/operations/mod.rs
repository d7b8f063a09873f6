//! Every operation of every port, with what stands in the store before it: for tests that lose something in the middle of each, a
//! connection, a server, or the future itself.
//!
//! Whatever is lost, an operation has happened whole or not at all; an error that says that it did not is right; and whoever repeats it
//! because the answer was lost finds it done. A store has some thirty to fifty operations, and the one that breaks is the one that
//! nobody tried, so tests go through the list.
//!
//! ```
//! use std::time::Duration;
//! use tollgate_core::store::memory::MemoryIdempotency;
//! use tollgate_core::ManualClock;
//! use tollgate_testkit::operations;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! for operation in operations::idempotency::<MemoryIdempotency>() {
//!     let clock = ManualClock::default();
//!     let store = MemoryIdempotency::with(100, clock.clone());
//!     operation.prepare(&store).await.unwrap();
//!     clock.advance(Duration::from_secs(1)); // what lapses at once has lapsed
//!     let answer = operation.ask(&store).await.unwrap();
//!     // … here its answer is lost; and now it is repeated
//!     let again = operation.ask(&store).await.unwrap();
//!     assert!(operation.kind.found_done(&answer, &again), "{}: {answer}, and then {again}", operation.name);
//! }
//! # }
//! ```
//!
//! A store that cannot be cloned is asked through an `Arc`, which is a store, too: `idempotency::<Arc<MyStore>>()`.

mod others;
mod records;

pub use others::{audit, carry_over, dedup, quota, saga, velocity};
pub use records::idempotency;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use tollgate_core::store::StoreError;

/// Something under way: what the store answers, as `Debug` shows it.
pub type Doing = Pin<Box<dyn Future<Output = Result<String, StoreError>> + Send>>;

/// Something that is asked of a store.
pub type Act<S> = fn(S) -> Doing;

/// One operation, and what it is done to.
pub struct Operation<S> {
    /// For messages; no two operations of a port have the same.
    pub name: &'static str,
    /// What has happened before it.
    pub before: Vec<Act<S>>,
    /// The operation itself. Everything it asks for is the same each time.
    pub act: Act<S>,
    /// What it does to the store.
    pub kind: Kind,
}

/// What an operation does to a store in which [`before`](Operation::before) has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It writes; and whoever repeats it because its answer was lost finds it done, and gets the same answer again, or, unless this is
    /// empty, one that begins like this.
    Repeatable(&'static str),
    /// It writes, each time anew.
    Once,
    /// It could write, and finds that there is nothing to.
    Finds,
    /// It never writes.
    Reads,
}

impl Kind {
    /// Whether it changes what is in the store.
    #[must_use]
    pub const fn writes(self) -> bool {
        matches!(self, Self::Repeatable(_) | Self::Once)
    }
}

impl Kind {
    /// Whether `again` is what somebody must be told who repeats the operation because `answer`, which it got the first time, was lost.
    /// Always, for what is not [`Repeatable`](Self::Repeatable): nothing is promised of that.
    ///
    /// ```
    /// use tollgate_testkit::operations::Kind;
    ///
    /// assert!(Kind::Repeatable("AlreadyApplied").found_done("Applied", "AlreadyApplied"));
    /// assert!(Kind::Repeatable("").found_done("Held", "Held"));
    /// assert!(!Kind::Repeatable("").found_done("Held", "Fenced"));
    /// ```
    #[must_use]
    pub fn found_done(self, answer: &str, again: &str) -> bool {
        match self {
            Self::Repeatable(done) => again == answer || (!done.is_empty() && again.starts_with(done)),
            Self::Once | Self::Finds | Self::Reads => true,
        }
    }
}

impl<S: Clone> Operation<S> {
    /// Does what comes before. Between this and the operation a moment has to pass by the store's clock, less than ten minutes: some
    /// leases lapse at once, and have lapsed then.
    ///
    /// # Errors
    /// What the store says.
    pub async fn prepare(&self, store: &S) -> Result<(), StoreError> {
        for act in &self.before {
            act(store.clone()).await?;
        }
        Ok(())
    }

    /// The operation, on this store. Nothing is asked before the first poll.
    #[must_use]
    pub fn ask(&self, store: &S) -> Doing {
        (self.act)(store.clone())
    }
}

impl<S> fmt::Debug for Operation<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operation")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// Something that is asked of a store before an operation.
macro_rules! acts {
    ($port:ident: $($name:ident = |$store:ident| $ask:expr;)+) => {$(
        fn $name<S: $port>($store: S) -> crate::operations::Doing {
            Box::pin(async move { $ask.await.map(|answer| format!("{answer:?}")) })
        }
    )+};
}
use acts;

/// `name kind, after [what comes before]; what is asked` for each operation of a port.
macro_rules! operations {
    ($($name:literal $kind:expr, after [$($before:ident),*]; |$store:ident| $ask:expr;)+) => {
        vec![$(crate::operations::Operation {
            name: $name,
            kind: $kind,
            before: vec![$($before),*],
            act: |$store| Box::pin(async move { $ask.await.map(|answer| format!("{answer:?}")) }),
        }),+]
    };
}
use operations;
