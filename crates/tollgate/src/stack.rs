//! The order of layers as types.

use std::fmt;
use std::marker::PhantomData;
use tollgate_core::store::audit::AuditStore;
use tower_layer::{Identity, Layer, Stack};
use tower_service::Service;

use crate::Gateway;
use crate::audit::{AuditLayer, AuditLog};
use crate::circuit_breaker::{Breaker, CircuitBreakerLayer};
use crate::idempotency::{IdempotencyLayer, StoreTooWeak};
use crate::rate_limit::{Limit, RateLimitLayer};
use crate::retry::{RetryConfig, RetryLayer};
use crate::timing::TimingLayer;
use tollgate_core::Secrets;
use tollgate_core::store::idempotency::IdempotencyStore;

/// How far a stack has come. Never made, only named.
pub mod stage {
    macro_rules! stages {
        ($($(#[doc = $doc:literal])+ $name:ident)+) => {
            $($(#[doc = $doc])+ #[derive(Debug)] pub enum $name {})+
        };
    }
    stages! {
        /// Nothing was added yet.
        Start
        /// After idempotency.
        AfterIdempotency
        /// After a screen.
        AfterScreen
        /// After the circuit breaker.
        AfterCircuitBreaker
        /// After retry.
        AfterRetry
        /// After the rate limit.
        AfterRateLimit
        /// Among the layers that watch.
        Observing
        /// No key is in force.
        NoKey
        /// A key is in force.
        KeyHeld
    }
}

use stage::{
    AfterCircuitBreaker, AfterIdempotency, AfterRateLimit, AfterRetry, AfterScreen, KeyHeld, NoKey,
    Observing, Start,
};

/// Whether a layer may still be added.
#[diagnostic::on_unimplemented(
    message = "this layer is in the wrong place: the stack is already at `{Self}`",
    label = "this layer belongs further out",
    note = "outermost first: idempotency, screens, circuit_breaker, retry, rate_limit, then timing and audit"
)]
pub trait MayStillAdd<Next> {}

macro_rules! order {
    ($($from:ty => $($to:ty)+;)+) => { $($(impl MayStillAdd<$to> for $from {})+)+ };
}

order! {
    Start => AfterIdempotency AfterScreen AfterCircuitBreaker AfterRetry AfterRateLimit Observing;
    AfterIdempotency => AfterScreen AfterCircuitBreaker AfterRetry AfterRateLimit Observing;
    AfterScreen => AfterScreen AfterCircuitBreaker AfterRetry AfterRateLimit Observing;
    AfterCircuitBreaker => AfterRetry AfterRateLimit Observing;
    AfterRetry => AfterRateLimit Observing;
    AfterRateLimit => Observing;
    Observing => Observing;
}

/// Whether a key is in force.
#[diagnostic::on_unimplemented(
    message = "retry needs an idempotency key in force, and this stack has none",
    label = "call `.idempotency(store, secrets)` first",
    note = "without a key a repeat after a time-out is a second charge"
)]
pub trait KeyIsInForce {}

impl KeyIsInForce for KeyHeld {}

/// The headline stack, its order checked by the compiler.
///
/// ```
/// use std::num::NonZeroU32;
/// use tollgate::PaymentStack;
/// use tollgate::audit::AuditLog;
/// use tollgate::circuit_breaker::{Breaker, BreakerConfig};
/// use tollgate::rate_limit::LocalLimit;
/// use tollgate::retry::RetryConfig;
/// use tollgate_core::gateway::{Call, Capture};
/// use tollgate_core::store::memory::{MemoryAudit, MemoryIdempotency};
/// use tollgate_core::store::quota::Quota;
/// use tollgate_core::{PaymentError, Secrets};
/// use tower::service_fn;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let secrets = Secrets::ephemeral();
/// let payments = PaymentStack::gateway()
///     .dangerous_idempotency(MemoryIdempotency::new(), secrets.clone()) // real money: `.idempotency(store, secrets)?`
///     .circuit_breaker(Breaker::new(BreakerConfig::default()))
///     .retry(RetryConfig::default())
///     .rate_limit(LocalLimit::new(Quota::per_second(NonZeroU32::new(50).unwrap())))
///     .timing()
///     .audit(AuditLog::new(MemoryAudit::new(), "payments", secrets))
///     .service_for::<Call<Capture>, _>(service_fn(|_| async { Ok::<(), PaymentError>(()) }));
/// # let _ = payments;
/// # }
/// ```
///
/// The wrong order does not compile:
///
/// ```compile_fail
/// # use tollgate::{PaymentStack, retry::RetryConfig, circuit_breaker::{Breaker, BreakerConfig}};
/// // retry outside the breaker would wait for an open one
/// PaymentStack::gateway().retry(RetryConfig::default()).circuit_breaker(Breaker::new(BreakerConfig::default()));
/// ```
///
/// Nor does retry without a key:
///
/// ```compile_fail
/// # use tollgate::{PaymentStack, retry::RetryConfig};
/// PaymentStack::gateway().retry(RetryConfig::default());
/// ```
#[must_use]
pub struct PaymentStack<P, L, At, Key> {
    protocol: P,
    layers: L,
    at: PhantomData<fn() -> (At, Key)>,
}

type Next<P, N, L, At, Key> = PaymentStack<P, Stack<N, L>, At, Key>;

/// The stack with an idempotency layer in it.
type Guarded<P, St, L> = Next<P, IdempotencyLayer<St, P>, L, AfterIdempotency, KeyHeld>;

impl PaymentStack<Gateway, Identity, Start, NoKey> {
    /// An empty stack for typed calls.
    pub fn gateway() -> Self {
        Self::new(Gateway)
    }
}

impl<P> PaymentStack<P, Identity, Start, NoKey> {
    /// An empty stack for a protocol of your own.
    pub fn new(protocol: P) -> Self {
        Self {
            protocol,
            layers: Identity::new(),
            at: PhantomData,
        }
    }
}

impl<P: Clone, L, At, Key> PaymentStack<P, L, At, Key> {
    fn push<N, At2, Key2>(self, make: impl FnOnce(P) -> N) -> Next<P, N, L, At2, Key2> {
        let layer = make(self.protocol.clone());
        PaymentStack {
            layers: Stack::new(layer, self.layers),
            protocol: self.protocol,
            at: PhantomData,
        }
    }

    /// Adds idempotency with the default settings.
    ///
    /// # Errors
    /// [`StoreTooWeak`] when the store is not durable and linearizable.
    pub fn idempotency<St: IdempotencyStore>(
        self,
        store: St,
        secrets: Secrets,
    ) -> Result<Guarded<P, St, L>, StoreTooWeak>
    where
        At: MayStillAdd<AfterIdempotency>,
    {
        let layer = IdempotencyLayer::new(store, secrets, self.protocol.clone())?;
        Ok(self.push(|_| layer))
    }

    /// Adds idempotency over a store that may forget every key: for tests and demonstrations.
    pub fn dangerous_idempotency<St: IdempotencyStore>(self, store: St, secrets: Secrets) -> Guarded<P, St, L>
    where
        At: MayStillAdd<AfterIdempotency>,
    {
        self.push(|protocol| IdempotencyLayer::dangerous_new(store, secrets, protocol))
    }

    /// Adds idempotency as it was configured: keep a clone of the layer to [drain](IdempotencyLayer::drain) it.
    pub fn idempotency_layer<St: IdempotencyStore>(self, layer: IdempotencyLayer<St, P>) -> Guarded<P, St, L>
    where
        At: MayStillAdd<AfterIdempotency>,
    {
        self.push(|_| layer)
    }

    /// Adds a layer that may refuse before anything is sent, such as `FraudLayer` (feature `fraud`). Inside idempotency, so that a
    /// replay is not screened again, and outside the breaker and retry, so that a refusal is neither counted nor repeated.
    pub fn screen<N>(self, layer: N) -> Next<P, N, L, AfterScreen, Key>
    where
        At: MayStillAdd<AfterScreen>,
    {
        self.push(|_| layer)
    }

    /// Adds a circuit breaker.
    pub fn circuit_breaker(
        self,
        breaker: Breaker,
    ) -> Next<P, CircuitBreakerLayer<P>, L, AfterCircuitBreaker, Key>
    where
        At: MayStillAdd<AfterCircuitBreaker>,
    {
        self.push(|protocol| CircuitBreakerLayer::new(breaker, protocol))
    }

    /// Adds retry. A key must be in force.
    pub fn retry(self, config: RetryConfig) -> Next<P, RetryLayer<P>, L, AfterRetry, Key>
    where
        At: MayStillAdd<AfterRetry>,
        Key: KeyIsInForce,
    {
        self.push(|protocol| RetryLayer::new(config, protocol))
    }

    /// Adds a rate limit.
    pub fn rate_limit<Li: Limit>(self, limit: Li) -> Next<P, RateLimitLayer<P, Li>, L, AfterRateLimit, Key>
    where
        At: MayStillAdd<AfterRateLimit>,
    {
        self.push(|protocol| RateLimitLayer::new(limit, protocol))
    }

    /// Adds timing.
    pub fn timing(self) -> Next<P, TimingLayer<P>, L, Observing, Key>
    where
        At: MayStillAdd<Observing>,
    {
        self.push(TimingLayer::new)
    }

    /// Adds audit.
    pub fn audit<St: AuditStore>(self, log: AuditLog<St>) -> Next<P, AuditLayer<P, St>, L, Observing, Key>
    where
        At: MayStillAdd<Observing>,
    {
        self.push(|protocol| AuditLayer::new(log, protocol))
    }

    /// Adds a layer that only watches, such as a configured [`TimingLayer`] or one of your own.
    pub fn observe<N>(self, layer: N) -> Next<P, N, L, Observing, Key>
    where
        At: MayStillAdd<Observing>,
    {
        self.push(|_| layer)
    }

    /// Puts the layers around a service, as `ServiceBuilder::service` does.
    pub fn service<S>(self, inner: S) -> L::Service
    where
        L: Layer<S>,
    {
        self.layers.layer(inner)
    }

    /// Puts the layers around a service and names the request, so that what is missing is said here and not where the service is
    /// first called.
    pub fn service_for<Req, S>(self, inner: S) -> L::Service
    where
        L: Layer<S, Service: Service<Req>>,
    {
        self.layers.layer(inner)
    }
}

impl<P: Clone, L: Clone, At, Key> Clone for PaymentStack<P, L, At, Key> {
    fn clone(&self) -> Self {
        Self {
            protocol: self.protocol.clone(),
            layers: self.layers.clone(),
            at: PhantomData,
        }
    }
}

impl<P, L: fmt::Debug, At, Key> fmt::Debug for PaymentStack<P, L, At, Key> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PaymentStack")
            .field("layers", &self.layers)
            .finish_non_exhaustive()
    }
}
