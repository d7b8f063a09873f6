//! Sets the deadline, refuses what is too late, strikes when it passes.

use super::remaining::Remaining;
use pin_project_lite::pin_project;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};
use tollgate_core::protocol::{Answers, Requests};
use tollgate_core::{Deadline, Rejection, RejectionKind};
use tower_service::Service;

/// The service that a [`DeadlineLayer`](super::DeadlineLayer) makes.
#[derive(Clone, Copy, Debug)]
pub struct DeadlineService<S, P> {
    inner: S,
    within: Duration,
    at_least: Duration,
    protocol: P,
}

impl<S, P> DeadlineService<S, P> {
    pub(super) const fn new(inner: S, within: Duration, at_least: Duration, protocol: P) -> Self {
        Self {
            inner,
            within,
            at_least,
            protocol,
        }
    }
}

impl<S, P, Req> Service<Req> for DeadlineService<S, P>
where
    S: Service<Req>,
    P: Requests<Req> + Answers<S::Response, S::Error> + Remaining<Req> + Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = DeadlineFuture<S::Future, P>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut req: Req) -> Self::Future {
        let now = Instant::now();
        let within = self
            .protocol
            .remaining(&req)
            .map_or(self.within, |said| said.min(self.within));
        let protocol = self.protocol.clone();
        // a time too far away to count is no deadline of ours
        let ours = now.checked_add(within).map(|at| Deadline::at(at.into_std()));
        let context = protocol.context_mut(&mut req);
        context.deadline = match (ours, context.deadline) {
            (Some(ours), theirs) => Some(ours.or_earlier(theirs)),
            (None, theirs) => theirs,
        };
        let state = match context.deadline {
            Some(deadline) if deadline.remaining(now.into_std()) < self.at_least => State::Refused {
                rejection: Some(RejectionKind::DeadlineBeforeSend.into()),
            },
            deadline => State::Running {
                future: self.inner.call(req),
                until: deadline.map(|deadline| Instant::from_std(deadline.instant())),
                timer: None,
            },
        };
        DeadlineFuture { state, protocol }
    }
}

pin_project! {
    /// The future of a call with a deadline.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct DeadlineFuture<F, P> {
        #[pin]
        state: State<F>,
        protocol: P,
    }
}

pin_project! {
    #[project = StateProj]
    #[derive(Debug)]
    enum State<F> {
        Running { #[pin] future: F, until: Option<Instant>, #[pin] timer: Option<Sleep> },
        Refused { rejection: Option<Rejection> },
    }
}

impl<F, P, Res, Err> Future for DeadlineFuture<F, P>
where
    F: Future<Output = Result<Res, Err>>,
    P: Answers<Res, Err>,
{
    type Output = Result<Res, Err>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        match this.state.project() {
            StateProj::Refused { rejection } => match rejection.take() {
                Some(rejection) => Poll::Ready(this.protocol.refuse(rejection)),
                None => unreachable!("polled after completion"),
            },
            StateProj::Running {
                future,
                until,
                mut timer,
            } => {
                if let Poll::Ready(answer) = future.poll(cx) {
                    return Poll::Ready(answer);
                }
                let Some(until) = *until else { return Poll::Pending };
                if timer.is_none() {
                    timer.set(Some(tokio::time::sleep_until(until)));
                }
                match timer.as_pin_mut().map(|timer| timer.poll(cx)) {
                    Some(Poll::Ready(())) => {
                        Poll::Ready(this.protocol.refuse(RejectionKind::DeadlineAfterSend.into()))
                    }
                    _ => Poll::Pending,
                }
            }
        }
    }
}
