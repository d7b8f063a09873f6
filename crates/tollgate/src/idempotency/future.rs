//! Drives a call: identify, begin, then run inline while somebody waits and in a task when nobody does.

use super::asked::{Ask, Asked, Decision};
use super::give_back::give_back;
use super::guard::Terms;
use super::inquiry;
use super::run::{BoxRun, Claimed, run};
use pin_project_lite::pin_project;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::runtime::Handle;
use tokio::time::Instant;
use tollgate_core::protocol::{Identified, Replays};
use tollgate_core::store::idempotency::{Begin, Begun, IdempotencyStore, Token};
use tower::util::Oneshot;
use tower_service::Service;

type Answer<S, Req> = Result<<S as Service<Req>>::Response, <S as Service<Req>>::Error>;

pin_project! {
    /// The future of a guarded call.
    ///
    /// # If dropped
    ///
    /// * before the claim: nothing has happened;
    /// * while the claim is being made: it is given back in a task (also when its answer is lost), nothing was sent;
    /// * while the guarded call runs: **it goes on in a task** and its answer is stored, so a client that hangs up never cuts
    ///   a charge in half. Without a runtime to go on in, the record stays `Armed`.
    // The function pointers carry the bounds (`Send + 'static`) that `Drop` and the struct cannot state.
    #[must_use = "futures do nothing unless polled"]
    pub struct IdempotencyFuture<S, St, P, Req>
    where
        S: Service<Req>,
        St: IdempotencyStore,
        P: Replays<Req, S::Response, S::Error>,
    {
        #[pin]
        state: State<P::Identify, Oneshot<S, Req>, Asked<St, Req>, Answer<S, Req>>,
        claimed: Option<Claimed<S, St, P>>,
        run: fn(Claimed<S, St, P>, Option<Req>, Token, Option<Instant>) -> BoxRun<Answer<S, Req>>,
        detach: fn(BoxRun<Answer<S, Req>>, Option<Handle>),
        give_back: fn(Arc<Terms<St, P>>, Begin, Option<St::Future<Begun>>, Option<Handle>),
        ask: Ask<St, P>,
    }

    impl<S, St, P, Req> PinnedDrop for IdempotencyFuture<S, St, P, Req>
    where
        S: Service<Req>,
        St: IdempotencyStore,
        P: Replays<Req, S::Response, S::Error>,
    {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            match this.state.as_mut().project() {
                StateProj::Running { run, home } => {
                    if let Some(run) = run.take() {
                        (this.detach)(run, home.take());
                    }
                }
                StateProj::Asking { asked, home } => {
                    if let Some((begin, begun)) = asked.take().and_then(|asked| asked.unheard())
                        && let Some(claimed) = this.claimed.take()
                    {
                        (this.give_back)(claimed.terms, begin, begun, home.take());
                    }
                }
                _ => {}
            }
        }
    }
}

pin_project! {
    #[project = StateProj]
    enum State<I, O, A, T> {
        Identifying { #[pin] identify: I },
        // in a box: it is larger than what every call carries, and a store that answers at once needs none. With a runtime to go on
        // in, this one and the next: a future may be dropped on a thread that has none
        Asking { asked: Option<Box<A>>, home: Option<Handle> },
        Running { run: Option<BoxRun<T>>, home: Option<Handle> },
        Bypassing { #[pin] oneshot: O },
    }
}

impl<S, St, P, Req> IdempotencyFuture<S, St, P, Req>
where
    S: Service<Req, Future: Send, Response: Send + 'static, Error: Send + 'static> + Send + 'static,
    St: IdempotencyStore,
    P: Replays<Req, S::Response, S::Error, Capture: Send> + Send + Sync + 'static,
    Req: Send + 'static,
{
    pub(super) fn new(inner: S, terms: Arc<Terms<St, P>>, req: Req) -> Self {
        let identify = terms.guard.protocol.identify(req, &terms.guard.secrets);
        Self {
            state: State::Identifying { identify },
            claimed: Some(Claimed { inner, terms }),
            run: run::<S, St, P, Req>,
            detach: detach::<Answer<S, Req>>,
            give_back: give_back::<St, P>,
            ask: inquiry::ask::<St, P>,
        }
    }
}

impl<S, St, P, Req> Future for IdempotencyFuture<S, St, P, Req>
where
    S: Service<Req>,
    St: IdempotencyStore,
    P: Replays<Req, S::Response, S::Error>,
{
    type Output = Answer<S, Req>;

    /// A step that is over at once leaves no trace in the state: what a store in memory answers is not put away and fetched again.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let (decision, req, at) = match this.state.as_mut().project() {
                StateProj::Identifying { identify } => {
                    let identified = ready!(identify.poll(cx));
                    let claimed = claim_of(this.claimed);
                    let Terms { guard, config } = &*claimed.terms;
                    let mut asked = match identified {
                        Err(no) => return Poll::Ready(guard.protocol.refuse(no)),
                        Ok(Identified::Guard { req, identity }) => {
                            Asked::new(&guard.store, guard.begin_for(identity, config), req)
                        }
                        Ok(Identified::Bypass(req)) => {
                            let oneshot = tower::ServiceExt::oneshot(take(this.claimed).inner, req);
                            this.state.set(State::Bypassing { oneshot });
                            continue;
                        }
                    };
                    match asked.poll(claimed, *this.ask, cx) {
                        Poll::Ready(decision) => (decision, asked.req.take(), asked.at),
                        Poll::Pending => {
                            let asked = Some(Box::new(asked));
                            let home = Handle::try_current().ok();
                            this.state.set(State::Asking { asked, home });
                            return Poll::Pending;
                        }
                    }
                }
                StateProj::Asking { asked: place, .. } => {
                    // out of the state while it is polled: a panic leaves nothing to give back
                    let mut asked = take(place);
                    match asked.poll(claim_of(this.claimed), *this.ask, cx) {
                        Poll::Ready(decision) => (decision, asked.req.take(), asked.at),
                        Poll::Pending => {
                            *place = Some(asked);
                            return Poll::Pending;
                        }
                    }
                }
                StateProj::Running { run: place, .. } => {
                    // out of the state while it is polled: a panic leaves nothing to detach
                    let mut running = take(place);
                    let answer = running.as_mut().poll(cx);
                    if answer.is_pending() {
                        *place = Some(running);
                    }
                    return answer;
                }
                StateProj::Bypassing { oneshot } => return oneshot.poll(cx),
            };
            let token = match decision {
                Decision::Run(token) => token,
                Decision::Answer(answer) => return Poll::Ready(answer),
                Decision::Lost(begin, answer) => {
                    (this.give_back)(take(this.claimed).terms, begin, None, None);
                    return Poll::Ready(answer);
                }
            };
            let mut run = (this.run)(take(this.claimed), req, token, at);
            let answer = run.as_mut().poll(cx);
            if answer.is_pending() {
                // only a call that really waits pays for the handle
                let home = Handle::try_current().ok();
                this.state.set(State::Running { run: Some(run), home });
            }
            return answer;
        }
    }
}

fn claim_of<S, St, P>(claimed: &Option<Claimed<S, St, P>>) -> &Claimed<S, St, P> {
    match claimed {
        Some(claimed) => claimed,
        None => unreachable!("polled after completion"),
    }
}

fn take<T>(place: &mut Option<T>) -> T {
    match place.take() {
        Some(taken) => taken,
        None => unreachable!("polled after completion"),
    }
}

/// Nobody waits for this call any more, but it may be moving money: it goes on in a task.
#[cold]
fn detach<T: Send + 'static>(run: BoxRun<T>, home: Option<Handle>) {
    if let Some(runtime) = Handle::try_current().ok().or(home) {
        runtime.spawn(run); // the run holds its own span and tracker token
    } // no runtime left: the record stays Armed, and the sweeper makes it Unknown
}

impl<S, St, P, Req> fmt::Debug for IdempotencyFuture<S, St, P, Req>
where
    S: Service<Req>,
    St: IdempotencyStore,
    P: Replays<Req, S::Response, S::Error>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdempotencyFuture").finish_non_exhaustive()
    }
}
