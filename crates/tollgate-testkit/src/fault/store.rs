//! A store that fails where it is told to.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tollgate_core::Timestamp;
use tollgate_core::store::audit::{AuditEntry, AuditStore, Receipt};
use tollgate_core::store::carry_over::{Carried, CarryOverStore, Replaced};
use tollgate_core::store::dedup::{Claim, Claimed, DedupStore, Ticket};
use tollgate_core::store::idempotency::{
    Begin, Begun, Held, IdempotencyStore, Record, RecordKey, Resolve, Resolved, Settled, Settlement, Token,
    Unresolved,
};
use tollgate_core::store::quota::{QuotaStore, Take, Taken};
use tollgate_core::store::saga::{Append, Created, Fenced, Journal, NewSaga, SagaId, SagaJournal, SagaState};
use tollgate_core::store::velocity::{Admit, Admitted, VelocityStore};
use tollgate_core::store::{Capabilities, StoreError};

/// At which moment of an operation a store fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum When {
    /// Before it took effect, and the error says so.
    Before,
    /// Before it took effect, but the error can only say that it may have: the connection broke somewhere.
    BeforeInDoubt,
    /// After it took effect: the answer was lost, and the error says that it may have happened.
    After,
}

impl When {
    /// Every moment.
    pub const ALL: [Self; 3] = [Self::Before, Self::BeforeInDoubt, Self::After];
}

/// A store of any port that fails at the operations it is told to, counted from 0 over all methods. Clones share plan and count.
///
/// To go through every place: run once without faults, ask [`operations`](Self::operations), then run once for each number and each
/// [`When`].
#[derive(Clone)]
pub struct Faulty<S> {
    inner: Arc<S>,
    plan: Arc<Mutex<Plan>>,
}

#[derive(Debug, Default)]
struct Plan {
    faults: BTreeMap<u64, When>,
    outage: Option<When>,
    operations: u64,
}

impl<S> Faulty<S> {
    /// A store that does not fail yet.
    pub fn new(store: S) -> Self {
        Self {
            inner: Arc::new(store),
            plan: Arc::default(),
        }
    }

    /// Sets that this operation fails (default: none does).
    #[must_use]
    pub fn failing(self, operation: u64, when: When) -> Self {
        self.plan().faults.insert(operation, when);
        self
    }

    /// Lets every operation fail from now on, or none any more (except planned ones) with `None`.
    pub fn outage(&self, when: impl Into<Option<When>>) {
        self.plan().outage = when.into();
    }

    /// How many operations were asked for so far, failed ones too.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.plan().operations
    }

    /// The store behind, which does not fail: to look at what really happened.
    #[must_use]
    pub fn inner(&self) -> &S {
        &self.inner
    }

    fn plan(&self) -> std::sync::MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the store, unless the operation fails before it takes effect.
    fn ask<F>(&self, ask: impl FnOnce(&S) -> F) -> Breaking<F> {
        let when = {
            let mut plan = self.plan();
            let number = plan.operations;
            plan.operations += 1;
            plan.faults.get(&number).copied().or(plan.outage)
        };
        match when {
            None => Breaking {
                inner: Some(ask(&self.inner)),
                when,
            },
            Some(When::After) => Breaking {
                inner: Some(ask(&self.inner)),
                when,
            },
            Some(_) => Breaking { inner: None, when },
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for Faulty<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faulty")
            .field("inner", &self.inner)
            .field("plan", &self.plan())
            .finish()
    }
}

/// The answer of a [`Faulty`] store.
pub struct Breaking<F> {
    inner: Option<F>,
    when: Option<When>,
}

impl<T, F: Future<Output = Result<T, StoreError>> + Unpin> Future for Breaking<F> {
    type Output = Result<T, StoreError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = match &mut self.inner {
            Some(inner) => Some(ready!(Pin::new(inner).poll(cx))),
            None => None,
        };
        Poll::Ready(match (self.when, answer) {
            (None, Some(answer)) => answer,
            (Some(When::Before), _) => Err(StoreError::unavailable("planned: nothing was written")),
            _ => Err(StoreError::unavailable("planned: the answer was lost").possibly_applied()),
        })
    }
}

impl<F> fmt::Debug for Breaking<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breaking")
            .field("when", &self.when)
            .finish_non_exhaustive()
    }
}

macro_rules! faulty {
    ($($port:ident { $($method:ident($($argument:ident: $type:ty),*) -> $answer:ty;)+ $({ $($more:tt)* })? })+) => {$(
        impl<S: $port> $port for Faulty<S> {
            type Future<T: Send + 'static> = Breaking<S::Future<T>>;
            $(fn $method(&self, $($argument: $type),*) -> Self::Future<$answer> {
                self.ask(|store| store.$method($($argument),*))
            })+
            $($($more)*)?
        }
    )+};
}

faulty! {
    IdempotencyStore {
        now() -> Timestamp;
        begin(begin: Begin) -> Begun;
        arm(token: Token, lease: Duration) -> Held;
        renew(token: Token, lease: Duration) -> Held;
        settle(token: Token, settlement: &Settlement) -> Settled;
        resolve(resolve: Resolve) -> Resolved;
        get(key: RecordKey) -> Option<Record>;
        unresolved(after: Option<RecordKey>, limit: u32) -> Vec<Unresolved>;
        sweep(limit: u32) -> u64;
        collect(tombstone: Duration, limit: u32) -> u64;
        {
            fn capabilities(&self) -> Capabilities {
                self.inner.capabilities()
            }
            // it writes nothing, so there is nothing to fail at; the begin that follows is what fails
            fn changed(&self, key: RecordKey) -> Option<Self::Future<()>> {
                let inner = Some(self.inner.changed(key)?);
                Some(Breaking { inner, when: None })
            }
        }
    }
    DedupStore {
        claim(claim: Claim) -> Claimed;
        commit(ticket: Ticket, retention: Duration) -> bool;
        release(ticket: Ticket) -> bool;
        forget(limit: u32) -> u64;
    }
    QuotaStore {
        take(takes: &[Take]) -> Taken;
        give_back(take: Take) -> ();
    }
    VelocityStore {
        admit(admit: Admit) -> Admitted;
    }
    AuditStore {
        append(chain: &str, body: Arc<[u8]>) -> Receipt;
        head(chain: &str) -> Receipt;
        read(chain: &str, after: u64, limit: u32) -> Vec<AuditEntry>;
    }
    CarryOverStore {
        load(run: &str) -> Option<Carried>;
        replace(run: &str, seen: u64, body: Arc<[u8]>) -> Replaced;
    }
    SagaJournal {
        create(saga: NewSaga) -> Created;
        append(append: Append) -> Fenced;
        claim(names: &[Arc<str>], lease: Duration, limit: u32) -> Vec<Journal>;
        claim_one(id: SagaId, lease: Duration) -> Option<Journal>;
        renew(id: SagaId, epoch: u64, lease: Duration) -> Fenced;
        load(id: SagaId) -> Option<Journal>;
        list(state: SagaState, after: Option<SagaId>, limit: u32) -> Vec<SagaId>;
    }
}
