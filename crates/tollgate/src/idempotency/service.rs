//! Decides what a call is: guarded, or none of this layer's business.

use super::future::IdempotencyFuture;
use super::guard::Terms;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use tollgate_core::protocol::Replays;
use tollgate_core::store::idempotency::IdempotencyStore;
use tower_service::Service;

/// The service that an [`IdempotencyLayer`](super::IdempotencyLayer) makes.
pub struct Idempotency<S, St, P> {
    inner: S,
    terms: Arc<Terms<St, P>>,
}

impl<S, St, P> Idempotency<S, St, P> {
    pub(super) const fn new(inner: S, terms: Arc<Terms<St, P>>) -> Self {
        Self { inner, terms }
    }

    /// The guarded service.
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Takes the layer off.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S: Clone, St, P> Clone for Idempotency<S, St, P> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            terms: Arc::clone(&self.terms),
        }
    }
}

impl<S: fmt::Debug, St, P> fmt::Debug for Idempotency<S, St, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Idempotency")
            .field("inner", &self.inner)
            .field("config", &self.terms.config)
            .finish_non_exhaustive()
    }
}

impl<S, St, P, Req> Service<Req> for Idempotency<S, St, P>
where
    S: Service<Req, Future: Send, Response: Send + 'static, Error: Send + 'static> + Clone + Send + 'static,
    St: IdempotencyStore,
    P: Replays<Req, S::Response, S::Error, Capture: Send> + Send + Sync + 'static,
    Req: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = IdempotencyFuture<S, St, P, Req>;

    /// Always ready: replays must be served while the inner service is not. The inner service is made ready once a claim
    /// is held, and the very clone that was readied is the one called.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, req: Req) -> Self::Future {
        IdempotencyFuture::new(self.inner.clone(), Arc::clone(&self.terms), req)
    }
}
