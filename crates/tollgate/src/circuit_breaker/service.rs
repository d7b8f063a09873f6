//! Decides in `call`, and settles the permit when the answer is there.

use super::breaker::{Breaker, Permit};
use pin_project_lite::pin_project;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tollgate_core::Rejection;
use tollgate_core::protocol::Answers;
use tower_service::Service;

/// The service that a [`CircuitBreakerLayer`](super::CircuitBreakerLayer) makes.
#[derive(Debug)]
pub struct CircuitBreaker<S, P> {
    inner: S,
    breaker: Breaker,
    protocol: P,
    /// The breaker was seen open, so the inner service was not asked whether it is ready.
    unready: bool,
}

impl<S, P> CircuitBreaker<S, P> {
    pub(super) const fn new(inner: S, breaker: Breaker, protocol: P) -> Self {
        Self {
            inner,
            breaker,
            protocol,
            unready: false,
        }
    }
}

impl<S: Clone, P: Clone> Clone for CircuitBreaker<S, P> {
    /// A clone inherits no readiness.
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), self.breaker.clone(), self.protocol.clone())
    }
}

impl<S, P, Req> Service<Req> for CircuitBreaker<S, P>
where
    S: Service<Req>,
    P: Answers<S::Response, S::Error> + Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = CircuitBreakerFuture<S::Future, P>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        // an open breaker must not wait for a dead service to become ready
        self.unready = match self.inner.poll_ready(cx) {
            Poll::Pending if self.breaker.refuses() => true,
            ready => return ready,
        };
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, req: Req) -> Self::Future {
        let protocol = self.protocol.clone();
        let unready = std::mem::take(&mut self.unready);
        let state = match self.breaker.admit() {
            // it may have half opened since: without readiness the call cannot be made
            Ok(permit) if unready => {
                drop(permit);
                State::Refused {
                    rejection: Some(tollgate_core::RejectionKind::CircuitOpen.into()),
                }
            }
            Ok(permit) => State::Running {
                permit: Some(permit),
                future: self.inner.call(req),
            },
            Err(rejection) => State::Refused {
                rejection: Some(rejection),
            },
        };
        CircuitBreakerFuture { state, protocol }
    }
}

pin_project! {
    /// The future of a call through a breaker. Dropping it drops the call; the [module](super) says what that counts as.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct CircuitBreakerFuture<F, P> {
        #[pin]
        state: State<F>,
        protocol: P,
    }
}

pin_project! {
    #[project = StateProj]
    #[derive(Debug)]
    enum State<F> {
        Running { permit: Option<Permit>, #[pin] future: F },
        Refused { rejection: Option<Rejection> },
    }
}

impl<F, P, Res, Err> Future for CircuitBreakerFuture<F, P>
where
    F: Future<Output = Result<Res, Err>>,
    P: Answers<Res, Err>,
{
    type Output = Result<Res, Err>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        match this.state.project() {
            StateProj::Running { permit, future } => {
                let answer = ready!(future.poll(cx));
                if let Some(permit) = permit.take() {
                    permit.settle(&this.protocol.judge(&answer));
                }
                Poll::Ready(answer)
            }
            StateProj::Refused { rejection } => match rejection.take() {
                Some(rejection) => Poll::Ready(this.protocol.refuse(rejection)),
                None => unreachable!("polled after completion"),
            },
        }
    }
}
