//! The layer.

use super::config::IdempotencyConfig;
use super::guard::{Guard, Terms};
use super::http::GuardedHttp;
#[cfg(feature = "audit")]
use super::ledger::Ledger;
use super::look_up::LookUp;
use super::resolve::{Finding, pass};
use super::running::RunningCall;
use super::service::Idempotency;
use crate::causes::Causes;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tollgate_core::Secrets;
use tollgate_core::store::Capabilities;
use tollgate_core::store::idempotency::{IdempotencyStore, Unresolved};
use tower_layer::Layer;

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
/// them, or an operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct StillRunning {
    /// How many.
    pub running: usize,
    /// Which, the longest first. A call that has never had to wait is counted and not named.
    pub left: Vec<RunningCall>,
}

impl fmt::Display for StillRunning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMED: usize = 10;
        let Self { running, left } = self;
        write!(
            f,
            "{running} guarded calls were still running when the time to drain was over"
        )?;
        for (number, call) in left.iter().take(NAMED).enumerate() {
            write!(f, "{} {call}", if number == 0 { ":" } else { "," })?;
        }
        match left.len().saturating_sub(NAMED) {
            0 => Ok(()),
            more => write!(f, ", and {more} more"),
        }
    }
}

/// One key, at most one effect. See the [module](super) for the lesson.
///
/// The layer owns the shared state: apply it to as many routes as you like, they share one store and one drain.
pub struct IdempotencyLayer<St, P> {
    pub(super) guard: Arc<Guard<St, P>>,
    pub(super) config: IdempotencyConfig,
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
        Self {
            guard: Arc::new(Guard::new(store, protocol, secrets)),
            config: IdempotencyConfig::default(),
        }
    }

    /// Replaces the settings (default: [`IdempotencyConfig::default`]).
    #[must_use]
    pub fn config(mut self, config: IdempotencyConfig) -> Self {
        self.config = config;
        self
    }

    /// Sets how doubts are ended (default: by whoever calls [`resolve_open`](super::resolve_open)). `look` asks the gateway about one key, as there; `actor`
    /// stands in the record's evidence. From then on
    ///
    /// * a repeat that meets an unknown outcome has it looked up at once and waits for that, up to
    ///   [`resolve_patience`](super::IdempotencyConfig::resolve_patience); one look at a time per key, whoever asks, and one a second;
    /// * [`keep_resolving`](Self::keep_resolving) looks for the others in the background.
    ///
    /// A look that takes longer than a minute is dropped, and the key stays open until the next one.
    ///
    /// It holds for every clone of this layer; the first one set stays.
    ///
    /// ```
    /// use tollgate::idempotency::{Finding, IdempotencyLayer};
    /// use tollgate_core::{Secrets, store::memory::MemoryIdempotency};
    ///
    /// let secrets = Secrets::ephemeral();
    /// let keys = secrets.clone();
    /// let layer = IdempotencyLayer::dangerous_gateway(MemoryIdempotency::new(), secrets).resolver("lookup", move |open| {
    ///     let sent = keys.downstream_key(&open.key, "acme-pay"); // the key that the gateway saw
    ///     async move {
    ///         let _ = sent; // ask the gateway about it here
    ///         Finding::StillOpen
    ///     }
    /// });
    /// # let _ = layer;
    /// ```
    #[must_use]
    pub fn resolver<F, L>(self, actor: impl Into<Arc<str>>, look: F) -> Self
    where
        F: Fn(Unresolved) -> L + Send + Sync + 'static,
        L: Future<Output = Finding> + Send + 'static,
    {
        let _ = self.guard.look_up.set(LookUp::new(actor.into(), look));
        self
    }

    /// Also writes what the [resolver](Self::resolver) finds to an audit log (default: to none), each finding before it is stored and how that
    /// went after. When the log does not take a finding, it is not stored: the key stays open until the next look. It holds for every clone of
    /// this layer; the first one set stays.
    #[cfg(feature = "audit")]
    #[must_use]
    pub fn audit_resolutions<A>(self, log: crate::audit::AuditLog<A>) -> Self
    where
        A: tollgate_core::store::audit::AuditStore,
    {
        let _ = self.guard.ledger.set(Ledger(Some(Arc::new(log))));
        self
    }

    /// Looks into every open key with the [resolver](Self::resolver), now and then every `every`, for ever: spawn it, and abort it at
    /// shutdown. Dropping it leaves nothing half done. Without a resolver it ends at once.
    pub async fn keep_resolving(self, every: Duration) {
        let Some(look_up) = self.guard.look_up.get() else {
            return;
        };
        loop {
            let ledger = self.guard.ledger();
            match pass(&self.guard.store, &ledger, look_up.actor(), |open| {
                look_up.look(open)
            })
            .await
            {
                Ok(pass) if pass.open > 0 => {
                    tracing::warn!(
                        target: "tollgate::idempotency", open = pass.open, oldest_s = pass.oldest_open.as_secs(),
                        settled = pass.settled, released = pass.released, "outcomes are still unknown"
                    );
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(
                        target: "tollgate::idempotency", error = %Causes(&error),
                        "the store did not list its open keys"
                    );
                }
            }
            tokio::time::sleep(every).await;
        }
    }

    /// Waits until no guarded call runs any more, also those whose caller went away. Call it after the server has
    /// stopped to take requests, before the runtime ends. Several may drain at once. Dropping it changes nothing.
    ///
    /// # Errors
    /// [`StillRunning`] when some were left after `within`, with their records; each is logged as well.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tollgate::idempotency::{Doing, IdempotencyLayer};
    /// use tollgate_core::{PaymentError, Secrets, store::memory::MemoryIdempotency};
    /// # use tollgate_core::gateway::{Call, Capture};
    /// # use tollgate_core::id::{IdempotencyKey, PaymentId};
    /// use tower::{Layer, ServiceExt, service_fn};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// # let capture = Call::new(Capture {
    /// #     key: IdempotencyKey::new("order-1/capture").unwrap(), payment: PaymentId::new("pay_1").unwrap(), amount: None,
    /// # });
    /// let layer = IdempotencyLayer::dangerous_gateway(MemoryIdempotency::new(), Secrets::ephemeral());
    /// let hangs = layer.layer(service_fn(|_: Call<Capture>| std::future::pending::<Result<(), PaymentError>>()));
    /// tokio::spawn(hangs.oneshot(capture));
    /// tokio::task::yield_now().await;
    ///
    /// let left = layer.drain(Duration::from_millis(10)).await.unwrap_err().left;
    /// assert_eq!((left.len(), left[0].doing), (1, Doing::Calling)); // and `left[0].record` says which
    /// # }
    /// ```
    pub async fn drain(&self, within: Duration) -> Result<(), StillRunning> {
        let drained = tokio::time::timeout(within, self.guard.running.until_none()).await;
        if drained.is_ok() {
            return Ok(());
        }
        let left = self.running_calls();
        for call in &left {
            tracing::warn!(
                target: "tollgate::idempotency", record = %call.record, doing = call.doing.as_str(),
                running_ms = call.running_for.as_millis(), "still running when the time to drain was over"
            );
        }
        let running = self.running().max(left.len());
        Err(StillRunning { running, left })
    }

    /// How many guarded calls run at the moment.
    #[must_use]
    pub fn running(&self) -> usize {
        self.guard.running.tracker.len()
    }

    /// The guarded calls that wait for something at the moment, the longest first.
    #[must_use]
    pub fn running_calls(&self) -> Vec<RunningCall> {
        self.guard.running.list()
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
            .field("running", &self.guard.running.tracker.len())
            .finish_non_exhaustive()
    }
}

impl<S, St, P> Layer<S> for IdempotencyLayer<St, P> {
    type Service = Idempotency<S, St, P>;

    fn layer(&self, inner: S) -> Self::Service {
        let terms = Terms {
            guard: Arc::clone(&self.guard),
            config: self.config,
        };
        Idempotency::new(inner, Arc::new(terms))
    }
}
