//! Decides in `call`; when a rule has to ask somebody, with the readied service in hand.

use super::decision::{Decision, OnReview, Screening};
use super::engine::{Engine, Screen};
use super::facts::FactsOf;
use pin_project_lite::pin_project;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tollgate_core::protocol::{Answers, Requests};
use tollgate_core::{Rejection, RejectionKind};
use tower_service::Service;

/// The service that a [`FraudLayer`](super::FraudLayer) makes.
pub struct Fraud<S, P, Req> {
    inner: S,
    engine: Engine,
    facts: FactsOf<Req>,
    on_review: OnReview,
    protocol: P,
}

impl<S, P, Req> Fraud<S, P, Req> {
    pub(super) const fn new(
        inner: S,
        engine: Engine,
        facts: FactsOf<Req>,
        on_review: OnReview,
        protocol: P,
    ) -> Self {
        Self {
            inner,
            engine,
            facts,
            on_review,
            protocol,
        }
    }
}

impl<S: Clone, P: Clone, Req> Clone for Fraud<S, P, Req> {
    fn clone(&self) -> Self {
        Self::new(
            self.inner.clone(),
            self.engine.clone(),
            Arc::clone(&self.facts),
            self.on_review,
            self.protocol.clone(),
        )
    }
}

impl<S: fmt::Debug, P, Req> fmt::Debug for Fraud<S, P, Req> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fraud")
            .field("inner", &self.inner)
            .field("engine", &self.engine)
            .finish_non_exhaustive()
    }
}

impl<S, P, Req> Service<Req> for Fraud<S, P, Req>
where
    S: Service<Req> + Clone,
    P: Answers<S::Response, S::Error> + Requests<Req> + Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = FraudFuture<S, P, Req>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, req: Req) -> Self::Future {
        let on_review = self.on_review;
        let state = if self.protocol.operation(&req).moves_money {
            let mut screen = self.engine.screen((self.facts)(&req));
            match screen.advance() {
                // no rule had to ask: no clone
                Some(screening) => match no(&screening, on_review) {
                    None => State::Calling {
                        future: self.inner.call(req),
                    },
                    refusal => State::Refused { refusal },
                },
                None => {
                    // the service that was made ready goes with the call, the clone stays behind
                    let clone = self.inner.clone();
                    let ready = std::mem::replace(&mut self.inner, clone);
                    State::Screening {
                        screen,
                        held: Some((ready, req)),
                    }
                }
            }
        } else {
            State::Calling {
                future: self.inner.call(req),
            }
        };
        FraudFuture {
            state,
            on_review,
            protocol: self.protocol.clone(),
        }
    }
}

/// The refusal that a screening asks for, if any. It names no rule: whoever tries out stolen cards would learn from it.
fn no(screening: &Screening, on_review: OnReview) -> Option<Rejection> {
    match screening.decision() {
        Decision::Approve => None,
        Decision::Review if on_review == OnReview::LetThrough => None,
        Decision::Review => Some(RejectionKind::ReviewRequired.into()),
        Decision::Challenge => Some(RejectionKind::ChallengeRequired.into()),
        Decision::Block => Some(RejectionKind::FraudBlocked.into()),
    }
}

pin_project! {
    /// The future of a screened call. Dropping it before the call was made sends nothing.
    #[must_use = "futures do nothing unless polled"]
    pub struct FraudFuture<S, P, Req>
    where
        S: Service<Req>,
    {
        #[pin]
        state: State<S::Future, (S, Req)>,
        on_review: OnReview,
        protocol: P,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F, H> {
        Screening { screen: Screen, held: Option<H> },
        Calling { #[pin] future: F },
        Refused { refusal: Option<Rejection> },
    }
}

impl<S, P, Req> Future for FraudFuture<S, P, Req>
where
    S: Service<Req>,
    P: Answers<S::Response, S::Error>,
{
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.state.as_mut().project() {
                StateProj::Calling { future } => return future.poll(cx),
                StateProj::Refused { refusal } => match refusal.take() {
                    Some(rejection) => return Poll::Ready(this.protocol.refuse(rejection)),
                    None => unreachable!("polled after completion"),
                },
                StateProj::Screening { screen, held } => {
                    let screening = ready!(Pin::new(screen).poll(cx));
                    let Some((mut service, req)) = held.take() else {
                        unreachable!("kept while screening")
                    };
                    match no(&screening, *this.on_review) {
                        None => State::Calling {
                            future: service.call(req),
                        },
                        refusal => State::Refused { refusal },
                    }
                }
            };
            this.state.set(next);
        }
    }
}

impl<S: Service<Req>, P, Req> fmt::Debug for FraudFuture<S, P, Req> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FraudFuture").finish_non_exhaustive()
    }
}
