//! The layer: a handle and a protocol.

use super::breaker::Breaker;
use super::service::CircuitBreaker;
use crate::{Gateway, Http, HttpClient};
use tower_layer::Layer;

/// Puts a [`Breaker`] around a service. See the [module](super) for the lesson.
///
/// The breaker is shared by every service the layer makes, so one layer on several routes is one breaker.
#[derive(Clone, Debug)]
pub struct CircuitBreakerLayer<P> {
    breaker: Breaker,
    protocol: P,
}

impl<P> CircuitBreakerLayer<P> {
    /// With a protocol of your own.
    pub const fn new(breaker: Breaker, protocol: P) -> Self {
        Self { breaker, protocol }
    }

    /// The breaker.
    pub const fn breaker(&self) -> &Breaker {
        &self.breaker
    }
}

impl CircuitBreakerLayer<Gateway> {
    /// Around typed calls.
    #[must_use]
    pub const fn gateway(breaker: Breaker) -> Self {
        Self::new(breaker, Gateway)
    }
}

impl CircuitBreakerLayer<Http> {
    /// Around an HTTP server's service.
    #[must_use]
    pub const fn http(breaker: Breaker) -> Self {
        Self::new(breaker, Http)
    }
}

impl CircuitBreakerLayer<HttpClient> {
    /// Around an HTTP client.
    #[must_use]
    pub const fn http_client(breaker: Breaker) -> Self {
        Self::new(breaker, HttpClient)
    }
}

impl<S, P: Clone> Layer<S> for CircuitBreakerLayer<P> {
    type Service = CircuitBreaker<S, P>;

    fn layer(&self, inner: S) -> Self::Service {
        CircuitBreaker::new(inner, self.breaker.clone(), self.protocol.clone())
    }
}
