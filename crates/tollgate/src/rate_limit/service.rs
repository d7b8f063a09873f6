//! Decides in `call`; waits, when it may, with the readied service in hand.

use super::key::KeyFrom;
use super::limit::{Asked, Limit, Refused};
use pin_project_lite::pin_project;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep};
use tollgate_core::protocol::{Answers, Requests};
use tollgate_core::{Rejection, RejectionKind};
use tower_service::Service;

/// The service that a [`RateLimitLayer`](super::RateLimitLayer) makes.
#[derive(Clone, Debug)]
pub struct RateLimit<S, P, L, K> {
    inner: S,
    limit: L,
    protocol: P,
    key: K,
    wait_at_most: Duration,
}

impl<S, P, L, K> RateLimit<S, P, L, K> {
    pub(super) const fn new(inner: S, limit: L, protocol: P, key: K, wait_at_most: Duration) -> Self {
        Self {
            inner,
            limit,
            protocol,
            key,
            wait_at_most,
        }
    }
}

impl<S, P, L, K, Req> Service<Req> for RateLimit<S, P, L, K>
where
    S: Service<Req> + Clone,
    P: Answers<S::Response, S::Error> + Requests<Req> + Clone,
    L: Limit + Clone,
    K: KeyFrom<Req>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = RateLimitFuture<S, P, L, Req>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, req: Req) -> Self::Future {
        let key = self.key.key_from(&req);
        let patience = Patience::new(self.wait_at_most, remaining(&self.protocol, &req));
        let state = match self.limit.acquire(key.as_deref(), 1) {
            // the decision fell at once: no clone, no box
            Asked::Now(Ok(())) => State::Calling {
                future: self.inner.call(req),
            },
            Asked::Now(Err(refused)) => match patience.of(refused) {
                Ok(wait) => State::Waiting {
                    sleep: tokio::time::sleep(wait),
                    held: Some(self.held(req, key, patience)),
                },
                Err(no) => State::Refused { rejection: Some(no) },
            },
            Asked::Later(asked) => State::Asking {
                asked,
                held: Some(self.held(req, key, patience)),
            },
        };
        RateLimitFuture {
            state,
            protocol: self.protocol.clone(),
        }
    }
}

impl<S: Clone, P, L: Clone, K> RateLimit<S, P, L, K> {
    /// The service that was made ready goes with the call, the clone stays behind.
    fn held<Req>(&mut self, req: Req, key: Option<String>, patience: Patience) -> Held<S, L, Req> {
        let clone = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, clone);
        Held {
            ready,
            limit: self.limit.clone(),
            req,
            key,
            patience,
        }
    }
}

/// What is left of the call's deadline, if it has one.
fn remaining<Req>(protocol: &impl Requests<Req>, req: &Req) -> Option<Duration> {
    let deadline = protocol.context(req)?.deadline?;
    Some(deadline.remaining(Instant::now().into_std()))
}

/// How long a call may wait, over all its waits.
#[derive(Clone, Copy, Debug)]
struct Patience {
    until: Instant,
}

impl Patience {
    fn new(wait_at_most: Duration, remaining: Option<Duration>) -> Self {
        let wait = remaining.map_or(wait_at_most, |left| left.min(wait_at_most));
        let now = Instant::now();
        Self {
            until: now.checked_add(wait).unwrap_or(now),
        }
    }

    /// The wait, or the refusal at once when it would be too long.
    fn of(&self, refused: Refused) -> Result<Duration, Rejection> {
        match refused {
            Refused::For(wait)
                if Instant::now()
                    .checked_add(wait)
                    .is_some_and(|at| at <= self.until) =>
            {
                Ok(wait)
            }
            Refused::For(Duration::MAX) => Err(Rejection::new(RejectionKind::RateLimited)
                .because("this call costs more than its quota ever allows")),
            Refused::For(wait) => Err(Rejection::new(RejectionKind::RateLimited).after(wait)),
            Refused::StoreDown => {
                Err(Rejection::new(RejectionKind::StoreUnavailable).after(Duration::from_secs(1)))
            }
        }
    }
}

struct Held<S, L, Req> {
    ready: S,
    limit: L,
    req: Req,
    key: Option<String>,
    patience: Patience,
}

pin_project! {
    /// The future of a limited call.
    #[must_use = "futures do nothing unless polled"]
    pub struct RateLimitFuture<S, P, L, Req>
    where
        S: Service<Req>,
        L: Limit,
    {
        #[pin]
        state: State<S::Future, L::Future, Held<S, L, Req>>,
        protocol: P,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F, A, H> {
        Asking { asked: A, held: Option<H> },
        Waiting { #[pin] sleep: Sleep, held: Option<H> },
        Calling { #[pin] future: F },
        Refused { rejection: Option<Rejection> },
    }
}

impl<S, P, L, Req> Future for RateLimitFuture<S, P, L, Req>
where
    S: Service<Req>,
    P: Answers<S::Response, S::Error>,
    L: Limit,
{
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.state.as_mut().project() {
                StateProj::Calling { future } => return future.poll(cx),
                StateProj::Refused { rejection } => match rejection.take() {
                    Some(rejection) => return Poll::Ready(this.protocol.refuse(rejection)),
                    None => unreachable!("polled after completion"),
                },
                StateProj::Asking { asked, held } => {
                    let granted = ready!(Pin::new(asked).poll(cx));
                    let Some(held) = held.take() else {
                        unreachable!("kept while asking")
                    };
                    decided(granted, held)
                }
                StateProj::Waiting { sleep, held } => {
                    ready!(sleep.poll(cx));
                    let Some(held) = held.take() else {
                        unreachable!("kept while waiting")
                    };
                    // somebody else may have been faster: ask again, within the same patience
                    match held.limit.acquire(held.key.as_deref(), 1) {
                        Asked::Now(granted) => decided(granted, held),
                        Asked::Later(asked) => State::Asking {
                            asked,
                            held: Some(held),
                        },
                    }
                }
            };
            this.state.set(next);
        }
    }
}

fn decided<S, L, A, Req>(
    granted: Result<(), Refused>,
    mut held: Held<S, L, Req>,
) -> State<S::Future, A, Held<S, L, Req>>
where
    S: Service<Req>,
{
    match granted {
        Ok(()) => State::Calling {
            future: held.ready.call(held.req),
        },
        Err(refused) => match held.patience.of(refused) {
            Ok(wait) => State::Waiting {
                sleep: tokio::time::sleep(wait),
                held: Some(held),
            },
            Err(no) => State::Refused { rejection: Some(no) },
        },
    }
}

impl<S, P, L, Req> fmt::Debug for RateLimitFuture<S, P, L, Req>
where
    S: Service<Req>,
    L: Limit,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitFuture").finish_non_exhaustive()
    }
}
