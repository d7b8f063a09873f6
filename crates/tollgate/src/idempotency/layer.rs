//! Configuration, and the state that all services made by one layer share.

use super::http::GuardedHttp;
use super::service::Idempotency;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio_util::task::TaskTracker;
use tollgate_core::Secrets;
use tollgate_core::protocol::Identity;
use tollgate_core::store::Capabilities;
use tollgate_core::store::idempotency::{Begin, IdempotencyStore, Owner};
use tower_layer::Layer;

/// When a claim is armed, that is: from when on a crash leaves the outcome unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArmPolicy {
    /// In the same step as the claim: two round trips to the store per guarded call.
    #[default]
    AtBegin,
    /// Just before the inner service is called, once it is ready: three round trips, and a crash while the inner
    /// service was not ready leaves nothing in doubt.
    BeforeCall,
}

/// What a repeat gets while the first call still runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhileInFlight {
    /// 409 (`in-progress`) at once, with a time to come back.
    #[default]
    Refuse,
    /// The first call's answer, if it comes within this time; then 409. A waiter only reads: it never releases,
    /// extends or deletes what it waits for.
    Wait(Duration),
}

/// The settings of the layer. Deserializes from a table with the fields' names; durations as `{ secs, nanos }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct IdempotencyConfig {
    /// How long an owner may be silent before it counts as lost (default: 60 s). Must be longer than the longest
    /// guarded call: a lease that lapses while a call runs makes its outcome unknown until it settles.
    pub lease: Duration,
    /// How long an answer is kept for replay (default: 30 days). Longer than any client retries.
    pub retention: Duration,
    /// When a claim is armed (default: at begin).
    pub arm: ArmPolicy,
    /// What a repeat gets while the first call runs (default: 409).
    pub while_in_flight: WhileInFlight,
    /// How long an answer waits for its record to be written when the store fails after the effect (default: 2 s). After
    /// that the truth is told and writing goes on in the background.
    pub settle_patience: Duration,
}

impl Default for IdempotencyConfig {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(60),
            retention: Duration::from_secs(30 * 24 * 60 * 60),
            arm: ArmPolicy::AtBegin,
            while_in_flight: WhileInFlight::Refuse,
            settle_patience: Duration::from_secs(2),
        }
    }
}

macro_rules! setters {
    ($($(#[doc = $doc:literal])+ $name:ident: $type:ty;)+) => {
        impl IdempotencyConfig {
            $($(#[doc = $doc])+
            #[must_use]
            pub const fn $name(mut self, $name: $type) -> Self {
                self.$name = $name;
                self
            })+
        }
    };
}

setters! {
    /// Sets the lease (default: 60 s).
    lease: Duration;
    /// Sets how long an answer is kept (default: 30 days).
    retention: Duration;
    /// Sets when a claim is armed (default: at begin).
    arm: ArmPolicy;
    /// Sets what a repeat gets while the first call runs (default: 409).
    while_in_flight: WhileInFlight;
    /// Sets how long an answer waits for a failing store (default: 2 s).
    settle_patience: Duration;
}

/// The store promises too little to guard money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the idempotency store cannot guard money (durable: {}, linearizable: {}): use SQLite or PostgreSQL, or a constructor \
     with `dangerous_` in its name where losing every key at a crash is acceptable",
    .capabilities.durable, .capabilities.linearizable
)]
pub struct StoreTooWeak {
    /// What it promises.
    pub capabilities: Capabilities,
}

/// Guarded calls were still running when the time to drain was over. Their records stay `Armed`; a resolver settles
/// them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{running} guarded calls were still running when the time to drain was over")]
pub struct StillRunning {
    /// How many.
    pub running: usize,
}

/// One key, at most one effect. See the [module](super) for the lesson.
///
/// The layer owns the shared state: apply it to as many routes as you like, they share one store and one drain.
pub struct IdempotencyLayer<St, P> {
    pub(super) guard: Arc<Guard<St, P>>,
    pub(super) config: IdempotencyConfig,
}

/// What every call needs, made once.
pub(super) struct Guard<St, P> {
    pub(super) store: St,
    pub(super) protocol: P,
    pub(super) secrets: Secrets,
    pub(super) tracker: TaskTracker,
    owners: Owners,
}

/// Owners are unique without asking for randomness on every call.
struct Owners {
    process: u64,
    serial: AtomicU64,
}

impl Owners {
    fn new() -> Self {
        let mut process = [0; 8];
        #[expect(
            clippy::expect_used,
            reason = "nothing that guards money can work without randomness"
        )]
        getrandom::fill(&mut process).expect("the operating system gives no randomness");
        Self {
            process: u64::from_le_bytes(process),
            serial: AtomicU64::new(0),
        }
    }

    fn next(&self) -> Owner {
        Owner(u128::from(self.process) << 64 | u128::from(self.serial.fetch_add(1, Relaxed)))
    }
}

impl<St: IdempotencyStore> IdempotencyLayer<St, crate::Gateway> {
    /// Guards typed calls: the key is the message's, the scope the context's caller.
    ///
    /// # Errors
    /// [`StoreTooWeak`] when the store is not durable and linearizable.
    pub fn gateway(store: St, secrets: Secrets) -> Result<Self, StoreTooWeak> {
        Self::new(store, secrets, crate::Gateway)
    }

    /// As [`gateway`](Self::gateway), over a store that may forget every key: for tests and demonstrations.
    pub fn dangerous_gateway(store: St, secrets: Secrets) -> Self {
        Self::dangerous_new(store, secrets, crate::Gateway)
    }
}

impl<St: IdempotencyStore> IdempotencyLayer<St, GuardedHttp> {
    /// Guards HTTP requests with the defaults of [`GuardedHttp`]: POST and PATCH need an `Idempotency-Key`, one scope
    /// for all callers.
    ///
    /// # Errors
    /// [`StoreTooWeak`] when the store is not durable and linearizable.
    pub fn http(store: St, secrets: Secrets) -> Result<Self, StoreTooWeak> {
        Self::new(store, secrets, GuardedHttp::new())
    }

    /// As [`http`](Self::http), over a store that may forget every key: for tests and demonstrations.
    pub fn dangerous_http(store: St, secrets: Secrets) -> Self {
        Self::dangerous_new(store, secrets, GuardedHttp::new())
    }
}

impl<St: IdempotencyStore, P> IdempotencyLayer<St, P> {
    /// Guards with a protocol of your own, or with a configured [`GuardedHttp`].
    ///
    /// # Errors
    /// [`StoreTooWeak`] when the store is not durable and linearizable.
    pub fn new(store: St, secrets: Secrets, protocol: P) -> Result<Self, StoreTooWeak> {
        match store.capabilities() {
            capabilities if capabilities.guards_money() => Ok(Self::dangerous_new(store, secrets, protocol)),
            capabilities => Err(StoreTooWeak { capabilities }),
        }
    }

    /// As [`new`](Self::new), over a store that may forget every key: for tests and demonstrations.
    pub fn dangerous_new(store: St, secrets: Secrets, protocol: P) -> Self {
        let guard = Guard {
            store,
            protocol,
            secrets,
            tracker: TaskTracker::new(),
            owners: Owners::new(),
        };
        Self {
            guard: Arc::new(guard),
            config: IdempotencyConfig::default(),
        }
    }

    /// Replaces the settings (default: [`IdempotencyConfig::default`]).
    #[must_use]
    pub fn config(mut self, config: IdempotencyConfig) -> Self {
        self.config = config;
        self
    }

    /// Waits until no guarded call runs any more, also those whose caller went away. Call it after the server has
    /// stopped to take requests, before the runtime ends.
    ///
    /// # Errors
    /// [`StillRunning`] when some were left after `within`.
    pub async fn drain(&self, within: Duration) -> Result<(), StillRunning> {
        let tracker = &self.guard.tracker;
        tracker.close();
        let drained = tokio::time::timeout(within, tracker.wait()).await;
        tracker.reopen();
        drained.map_err(|_| StillRunning {
            running: tracker.len(),
        })
    }

    /// How many guarded calls run at the moment.
    #[must_use]
    pub fn running(&self) -> usize {
        self.guard.tracker.len()
    }
}

impl<St, P> Guard<St, P> {
    pub(super) fn begin_for(&self, identity: Identity, config: &IdempotencyConfig) -> Begin {
        Begin {
            key: identity.key,
            fingerprint: identity.fingerprint,
            owner: self.owners.next(),
            lease: config.lease,
            retention: config.retention,
            arm: config.arm == ArmPolicy::AtBegin,
        }
    }
}

impl<St, P> Clone for IdempotencyLayer<St, P> {
    fn clone(&self) -> Self {
        Self {
            guard: Arc::clone(&self.guard),
            config: self.config,
        }
    }
}

impl<St, P> fmt::Debug for IdempotencyLayer<St, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdempotencyLayer")
            .field("config", &self.config)
            .field("running", &self.guard.tracker.len())
            .finish_non_exhaustive()
    }
}

impl<S, St, P> Layer<S> for IdempotencyLayer<St, P> {
    type Service = Idempotency<S, St, P>;

    fn layer(&self, inner: S) -> Self::Service {
        Idempotency::new(inner, Arc::clone(&self.guard), self.config)
    }
}
