//! Where the units are counted: in one word of this process, or in a store.

use crate::causes::Causes;
use std::fmt;
use std::future::Ready;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Instant;
use tollgate_core::store::StoreError;
use tollgate_core::store::quota::{Quota, QuotaKey, QuotaStore, Take, Taken, rule};
use tollgate_core::{Secrets, Timestamp};

/// No unit is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// One will be, after this long.
    For(Duration),
    /// The store that counts does not answer, and the limit fails closed.
    StoreDown,
}

/// The answer to a request for a unit.
#[derive(Debug)]
pub enum Asked<F> {
    /// At once.
    Now(Result<(), Refused>),
    /// Later.
    Later(F),
}

/// Grants units.
pub trait Limit {
    /// How it answers when it cannot at once.
    type Future: Future<Output = Result<(), Refused>> + Unpin;

    /// Asks for `cost` units of `key`'s quota.
    fn acquire(&self, key: Option<&str>, cost: u32) -> Asked<Self::Future>;
}

/// A limit that keeps one quota per key. One that does not would let a single caller use up everybody's.
#[diagnostic::on_unimplemented(
    message = "`{Self}` keeps one quota for all calls, so it cannot be keyed",
    note = "`StoredLimit` keeps one per key; over `MemoryQuota` it stays in this process"
)]
pub trait PerKey: Limit {}

impl<St: QuotaStore> PerKey for StoredLimit<St> {}

/// One quota in one word of this process, for all calls together. Clones share it.
#[derive(Clone, Debug)]
pub struct LocalLimit(Arc<Local>);

#[derive(Debug)]
struct Local {
    /// The theoretical arrival time, in microseconds since `made`.
    arrival: AtomicI64,
    made: Instant,
    quota: Quota,
}

impl LocalLimit {
    /// This quota.
    #[must_use]
    pub fn new(quota: Quota) -> Self {
        Self(Arc::new(Local {
            arrival: AtomicI64::new(0),
            made: Instant::now(),
            quota,
        }))
    }

    fn take(&self, cost: u32) -> Result<(), Refused> {
        let now =
            Timestamp::from_unix_micros(i64::try_from(self.0.made.elapsed().as_micros()).unwrap_or(i64::MAX));
        let mut seen = self.0.arrival.load(Relaxed);
        loop {
            let next = rule::take(Some(Timestamp::from_unix_micros(seen)), &self.0.quota, cost, now)
                .map_err(Refused::For)?;
            match self
                .0
                .arrival
                .compare_exchange_weak(seen, next.unix_micros(), Relaxed, Relaxed)
            {
                Ok(_) => return Ok(()),
                Err(other) => seen = other,
            }
        }
    }
}

impl Limit for LocalLimit {
    type Future = Ready<Result<(), Refused>>;

    fn acquire(&self, _: Option<&str>, cost: u32) -> Asked<Self::Future> {
        Asked::Now(self.take(cost))
    }
}

/// What a limit does when its store does not answer. There is no default that surprises: the constructor's is stated.
#[derive(Clone, Debug, Default)]
pub enum StoreDown {
    /// Refuse (the default): right for limits that stop card testing.
    #[default]
    Refuse,
    /// Go by a limit of this process alone: right for outbound limits.
    GoBy(LocalLimit),
}

/// One quota per key, counted in a store. Clones share it.
pub struct StoredLimit<St>(Arc<Stored<St>>);

struct Stored<St> {
    store: St,
    quota: Quota,
    name: Arc<str>,
    secrets: Secrets,
    down: StoreDown,
}

impl<St: QuotaStore> StoredLimit<St> {
    /// This quota for each key; `name` keeps it apart from other quotas in the same store. Refuses while the store is down.
    pub fn new(store: St, quota: Quota, name: impl Into<Arc<str>>, secrets: Secrets) -> Self {
        Self(Arc::new(Stored {
            store,
            quota,
            name: name.into(),
            secrets,
            down: StoreDown::Refuse,
        }))
    }

    /// As [`new`](Self::new), and this while the store is down.
    pub fn with_store_down(
        store: St,
        quota: Quota,
        name: impl Into<Arc<str>>,
        secrets: Secrets,
        down: StoreDown,
    ) -> Self {
        Self(Arc::new(Stored {
            store,
            quota,
            name: name.into(),
            secrets,
            down,
        }))
    }
}

impl<St> Clone for StoredLimit<St> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<St> fmt::Debug for StoredLimit<St> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredLimit")
            .field("name", &self.0.name)
            .field("quota", &self.0.quota)
            .finish_non_exhaustive()
    }
}

impl<St: QuotaStore> Limit for StoredLimit<St> {
    type Future = StoredLimitFuture<St::Future<Taken>>;

    fn acquire(&self, key: Option<&str>, cost: u32) -> Asked<Self::Future> {
        let key = QuotaKey(self.0.secrets.pseudonym(&self.0.name, key.unwrap_or("")));
        let taken = self.0.store.take(&[Take {
            key,
            quota: self.0.quota,
            cost,
        }]);
        Asked::Later(StoredLimitFuture {
            taken,
            down: self.0.down.clone(),
            cost,
        })
    }
}

/// Waits for the store's answer.
pub struct StoredLimitFuture<F> {
    taken: F,
    down: StoreDown,
    cost: u32,
}

impl<F: Future<Output = Result<Taken, StoreError>> + Unpin> Future for StoredLimitFuture<F> {
    type Output = Result<(), Refused>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match ready!(Pin::new(&mut self.taken).poll(cx)) {
            Ok(Taken::Granted { .. }) => Ok(()),
            Ok(Taken::Refused { retry_after, .. }) => Err(Refused::For(retry_after)),
            Err(error) => {
                tracing::warn!(target: "tollgate::rate_limit", error = %Causes(&error), "the store that counts does not answer");
                match &self.down {
                    StoreDown::Refuse => Err(Refused::StoreDown),
                    StoreDown::GoBy(local) => local.take(self.cost),
                }
            }
        })
    }
}

impl<F> fmt::Debug for StoredLimitFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredLimitFuture")
            .field("cost", &self.cost)
            .finish_non_exhaustive()
    }
}
