//! A store that fails where it is told to.

use super::breaking::Breaking;
use super::plan::{Fault, Kind, Plan, When};
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tollgate_core::Timestamp;
use tollgate_core::store::Capabilities;
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

/// A store of any port that fails at the operations it is told to, counted from 0 over all methods. Clones share plan and count.
///
/// To go through every place: run once without faults, ask [`operations`](Self::operations), then run once for each number and each
/// [`When`]. Where a test is about one step, [`failing_at`](Self::failing_at) names it.
#[derive(Clone)]
pub struct Faulty<S> {
    inner: Arc<S>,
    plan: Arc<Mutex<Plan>>,
}

impl<S> Faulty<S> {
    /// A store that does not fail yet.
    pub fn new(store: S) -> Self {
        Self {
            inner: Arc::new(store),
            plan: Arc::default(),
        }
    }

    /// Sets what becomes of this operation (default: it does not fail).
    #[must_use]
    pub fn failing(self, operation: u64, fault: impl Into<Fault>) -> Self {
        self.plan().by_number.insert(operation, fault.into());
        self
    }

    /// Sets what becomes of the operations of one name, `"begin"`, `"settle"`, `"append"`, one fault each, from the next one on
    /// (default: they do not fail). The faults may be endless; more of them queue up behind. What is planned by number goes before.
    /// Ports that share a name share its plan. A store's word that a claim is over, `"changed"`, fails by name only: it is not counted
    /// among the operations, and no outage keeps it back.
    ///
    /// ```
    /// use std::iter::{repeat, repeat_n};
    /// use tollgate_core::store::idempotency::{Begun, IdempotencyStore, Settlement};
    /// use tollgate_core::store::memory::MemoryIdempotency;
    /// use tollgate_testkit::fault::{Faulty, When};
    /// use tollgate_testkit::samples;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let store = Faulty::new(MemoryIdempotency::new())
    ///     .failing_at("begin", repeat_n(When::Before, 2))
    ///     .failing_at("settle", repeat(When::BeforeInDoubt));
    /// let token = loop {
    ///     if let Ok(Begun::Acquired(token)) = store.begin(samples::begin(samples::key(1), 1)).await {
    ///         break token;
    ///     }
    /// };
    /// assert_eq!(store.operations_of("begin"), 3);
    /// assert!(store.settle(token, &Settlement::Released).await.is_err());
    /// # }
    /// ```
    ///
    /// # Panics
    /// When no port has an operation of this name: nothing would ever fail.
    #[must_use]
    pub fn failing_at<I>(self, operation: &'static str, faults: I) -> Self
    where
        I: IntoIterator<Item: Into<Fault> + 'static, IntoIter: Send + 'static>,
    {
        must_exist(operation);
        self.plan()
            .queue(operation, Box::new(faults.into_iter().map(Into::into)));
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

    /// How many operations of this name were asked for so far, failed ones too.
    ///
    /// # Panics
    /// When no port has an operation of this name.
    #[must_use]
    pub fn operations_of(&self, operation: &str) -> u64 {
        must_exist(operation);
        self.plan().asked(operation)
    }

    /// The store behind, which does not fail: to look at what really happened.
    #[must_use]
    pub fn inner(&self) -> &S {
        &self.inner
    }

    fn plan(&self) -> std::sync::MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Send + Sync + 'static> Faulty<S> {
    /// Asks the store, or does to the question what was planned.
    fn ask<F>(&self, fault: Fault, ask: impl FnOnce(&S) -> F + Send + 'static) -> Breaking<F>
    where
        F: Future + Send + 'static,
    {
        let store = Arc::clone(&self.inner);
        match fault.kind {
            Kind::Answers | Kind::Fails(When::After) => Breaking::at_once(fault, Some(ask(&store))),
            Kind::Fails(_) | Kind::Silent | Kind::Panics => Breaking::at_once(fault, None),
            Kind::Queues(_) => Breaking::queued(fault, move || ask(&store)),
            Kind::Strays(by) => {
                tokio::spawn(async move {
                    tokio::time::sleep(by).await;
                    drop(ask(&store).await);
                });
                Breaking::at_once(fault, None)
            }
        }
    }
}

/// A misspelt name must not make a test that tests nothing.
fn must_exist(operation: &str) {
    assert!(
        OPERATIONS.contains(&operation),
        "no port has an operation `{operation}`"
    );
}

impl<S: fmt::Debug> fmt::Debug for Faulty<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faulty")
            .field("inner", &self.inner)
            .field("plan", &self.plan())
            .finish()
    }
}

/// Methods of ports. What they borrow stands as `name as &Type`: it is copied, for those that are carried out later.
macro_rules! faulty {
    ($($port:ident {
        $($method:ident($($argument:ident $(: $given:ty)? $(as $and:tt $lent:tt)?),*) -> $answer:ty;)+
        $({ $($more:tt)* })?
    })+) => {
        /// The names that can be planned for.
        const OPERATIONS: &[&str] = &["changed", $($(stringify!($method)),+),+];

        $(impl<S: $port> $port for Faulty<S> {
            type Future<T: Send + 'static> = Breaking<S::Future<T>>;
            $(fn $method(&self, $($argument: $($given)? $($and $lent)?),*) -> Self::Future<$answer> {
                $($(let $argument = <$lent>::to_owned($argument);)?)*
                let fault = self.plan().next(stringify!($method));
                self.ask(fault, move |store| store.$method($($($and)? $argument),*))
            })+
            $($($more)*)?
        })+
    };
}

faulty! {
    IdempotencyStore {
        now() -> Timestamp;
        begin(begin: Begin) -> Begun;
        arm(token: Token, lease: Duration) -> Held;
        renew(token: Token, lease: Duration) -> Held;
        settle(token: Token, settlement as &Settlement) -> Settled;
        resolve(resolve: Resolve) -> Resolved;
        get(key: RecordKey) -> Option<Record>;
        unresolved(after: Option<RecordKey>, limit: u32) -> Vec<Unresolved>;
        sweep(limit: u32) -> u64;
        collect(tombstone: Duration, limit: u32) -> u64;
        {
            fn capabilities(&self) -> Capabilities {
                self.inner.capabilities()
            }
            // it writes nothing, so it is no place to fail at in a loop over all, and no outage: it fails by name alone
            fn changed(&self, key: RecordKey) -> Option<Self::Future<()>> {
                let told = self.inner.changed(key)?;
                let fault = self.plan().next_of("changed").unwrap_or(Fault::NONE);
                Some(self.ask(fault, move |_| told))
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
        take(takes as &[Take]) -> Taken;
        give_back(take: Take) -> ();
    }
    VelocityStore {
        admit(admit: Admit) -> Admitted;
    }
    AuditStore {
        append(chain as &str, body: Arc<[u8]>) -> Receipt;
        head(chain as &str) -> Receipt;
        read(chain as &str, after: u64, limit: u32) -> Vec<AuditEntry>;
    }
    CarryOverStore {
        load(run as &str) -> Option<Carried>;
        replace(run as &str, seen: u64, body: Arc<[u8]>) -> Replaced;
    }
    SagaJournal {
        create(saga: NewSaga) -> Created;
        append(append: Append) -> Fenced;
        claim(names as &[Arc<str>], lease: Duration, limit: u32) -> Vec<Journal>;
        claim_one(id: SagaId, lease: Duration) -> Option<Journal>;
        renew(id: SagaId, epoch: u64, lease: Duration) -> Fenced;
        load(id: SagaId) -> Option<Journal>;
        list(state: SagaState, after: Option<SagaId>, limit: u32) -> Vec<SagaId>;
    }
}
