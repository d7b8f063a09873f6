//! Drives a call: identify, begin, then run inline while somebody waits and in a task when nobody does.

use super::config::WhileInFlight;
use super::guard::{Guard, Terms};
use super::inquiry;
use super::run::{BoxRun, Claimed, run, settle};
use super::running::Doing;
use super::wait::Wait;
use pin_project_lite::pin_project;
use std::fmt;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::Instant;
use tollgate_core::protocol::{Identified, Replays};
use tollgate_core::store::StoreError;
use tollgate_core::store::idempotency::{Begin, Begun, IdempotencyStore, RecordKey, Settlement, Token};
use tollgate_core::{Rejection, RejectionKind};
use tower::util::Oneshot;
use tower_service::Service;

type Answer<S, Req> = Result<<S as Service<Req>>::Response, <S as Service<Req>>::Error>;

pin_project! {
    /// The future of a guarded call.
    ///
    /// # If dropped
    ///
    /// * before the claim: nothing has happened;
    /// * while the claim is being made: it is given back in a task, nothing was sent;
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
        state: State<P::Identify, Oneshot<S, Req>, St::Future<Begun>, St::Future<()>, Req, Answer<S, Req>>,
        claimed: Option<Claimed<S, St, P>>,
        waiting: Option<Waiting>,
        home: Option<Handle>,
        run: fn(Claimed<S, St, P>, Req, Token, Option<Instant>) -> BoxRun<Answer<S, Req>>,
        detach: fn(BoxRun<Answer<S, Req>>, Option<Handle>),
        give_back: fn(Arc<Terms<St, P>>, RecordKey, St::Future<Begun>),
        ask: fn(&Arc<Guard<St, P>>, RecordKey),
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
                StateProj::Running { run } => {
                    if let Some(run) = run.take() {
                        (this.detach)(run, this.home.take());
                    }
                }
                StateProj::Beginning { asked } => {
                    if let (Some((begin, pending)), Some(claimed)) = (asked.take(), this.claimed.take()) {
                        (this.give_back)(claimed.terms, pending.begin.key, begin);
                    }
                }
                _ => {}
            }
        }
    }
}

/// The request, and the begin that asks for its key: the same one however often it is asked, so that a claim whose answer was lost
/// is recognised.
struct Pending<Req> {
    req: Req,
    begin: Begin,
    /// The store lost an answer before.
    lost: bool,
    /// When the key was asked for, if the store did not answer at once: a claim's lease may run from then.
    asked_at: Option<Instant>,
}

pin_project! {
    #[project = StateProj]
    enum State<I, O, B, C, Req, T> {
        Identifying { #[pin] identify: I },
        Beginning { asked: Option<(B, Pending<Req>)> },
        // in a box: it is larger than what every call carries
        Waiting { wait: Pin<Box<Wait<C>>>, pending: Option<Pending<Req>> },
        Running { run: Option<BoxRun<T>> },
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
            waiting: None,
            home: None,
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
            let (mut begin, mut pending) = match this.state.as_mut().project() {
                StateProj::Identifying { identify } => {
                    let identified = ready!(identify.poll(cx));
                    let claimed = claim_of(this.claimed);
                    match identified {
                        Err(no) => return Poll::Ready(claimed.terms.guard.protocol.refuse(no)),
                        Ok(Identified::Bypass(req)) => {
                            let Some(Claimed { inner, .. }) = this.claimed.take() else {
                                unreachable!("just seen")
                            };
                            this.state.set(State::Bypassing {
                                oneshot: tower::ServiceExt::oneshot(inner, req),
                            });
                            continue;
                        }
                        Ok(Identified::Guard { req, identity }) => {
                            let begin = claimed.terms.guard.begin_for(identity, &claimed.terms.config);
                            let pending = Pending {
                                req,
                                begin,
                                lost: false,
                                asked_at: None,
                            };
                            (claimed.terms.guard.store.begin(begin), pending)
                        }
                    }
                }
                StateProj::Beginning { asked } => match asked.take() {
                    Some(asked) => asked,
                    None => unreachable!("polled after completion"),
                },
                StateProj::Waiting { wait, pending } => {
                    ready!(wait.as_mut().poll(cx));
                    let Some(mut pending) = pending.take() else {
                        unreachable!("kept while waiting")
                    };
                    pending.asked_at = None; // another begin
                    (
                        claim_of(this.claimed).terms.guard.store.begin(pending.begin),
                        pending,
                    )
                }
                StateProj::Running { run } => {
                    // out of the state while it is polled: a panic leaves nothing to detach
                    let Some(mut running) = run.take() else {
                        unreachable!("polled after completion")
                    };
                    let answer = running.as_mut().poll(cx);
                    if answer.is_pending() {
                        *run = Some(running);
                    }
                    return answer;
                }
                StateProj::Bypassing { oneshot } => return oneshot.poll(cx),
            };
            let Poll::Ready(begun) = Pin::new(&mut begin).poll(cx) else {
                pending.asked_at.get_or_insert_with(Instant::now);
                let asked = Some((begin, pending));
                this.state.set(State::Beginning { asked });
                return Poll::Pending;
            };
            let claimed = claim_of(this.claimed);
            // claimed or not? The owner may ask again; a record left behind would hold the key for nothing
            if begun.as_ref().is_err_and(StoreError::may_have_happened) && !pending.lost {
                pending.lost = true;
                let asked = Some((claimed.terms.guard.store.begin(pending.begin), pending));
                this.state.set(State::Beginning { asked });
                continue;
            }
            match decide(claimed, begun, pending.begin.key, this.waiting, *this.ask) {
                Decision::Run(token) => {
                    *this.waiting = None;
                    let Some(claimed) = this.claimed.take() else {
                        unreachable!("just seen")
                    };
                    let mut run = (this.run)(claimed, pending.req, token, pending.asked_at);
                    let answer = run.as_mut().poll(cx);
                    if answer.is_pending() {
                        // a future may be dropped on a thread without a runtime; only a call that really waits pays for the handle
                        *this.home = Handle::try_current().ok();
                        this.state.set(State::Running { run: Some(run) });
                    }
                    return answer;
                }
                Decision::Answer(answer) => return Poll::Ready(answer),
                Decision::Wait { told, until } => {
                    let wait = Box::pin(Wait::new(told, &claimed.terms.config, until));
                    let pending = Some(pending);
                    this.state.set(State::Waiting { wait, pending });
                }
            }
        }
    }
}

fn claim_of<S, St, P>(claimed: &Option<Claimed<S, St, P>>) -> &Claimed<S, St, P> {
    match claimed {
        Some(claimed) => claimed,
        None => unreachable!("polled after completion"),
    }
}

enum Decision<T, C> {
    Run(Token),
    Answer(T),
    /// Begin again when the store tells, if it does, or after a while.
    Wait {
        told: Option<C>,
        until: Instant,
    },
}

fn decide<S, St, P, Req>(
    claimed: &Claimed<S, St, P>,
    begun: Result<Begun, StoreError>,
    key: RecordKey,
    waiting: &mut Option<Waiting>,
    ask: fn(&Arc<Guard<St, P>>, RecordKey),
) -> Decision<Answer<S, Req>, St::Future<()>>
where
    S: Service<Req>,
    St: IdempotencyStore,
    P: Replays<Req, S::Response, S::Error>,
{
    let Terms { guard, config } = &*claimed.terms;
    let protocol = &guard.protocol;
    let no = match begun {
        Ok(Begun::Acquired(token)) => return Decision::Run(token),
        Ok(Begun::Replay(completion)) => {
            tracing::debug!(target: "tollgate::idempotency", effect = %completion.effect(), "replayed");
            match completion
                .envelope
                .as_ref()
                .and_then(|envelope| protocol.replay(envelope))
            {
                Some(answer) => return Decision::Answer(answer),
                None => Rejection::new(RejectionKind::NotReplayable),
            }
        }
        Ok(Begun::InFlight { retry_after }) => {
            if let WhileInFlight::Wait(at_most) = config.while_in_flight
                && let Some(until) = may_wait(waiting, claimed, at_most)
            {
                let told = guard.store.changed(key);
                return Decision::Wait { told, until };
            }
            Rejection::new(RejectionKind::KeyInFlight).after(retry_after)
        }
        Ok(Begun::Mismatch) => Rejection::new(RejectionKind::KeyReused),
        Ok(Begun::Unknown { .. }) => {
            if guard.look_up.get().is_some() {
                ask(guard, key);
                if let Some(until) = may_wait(waiting, claimed, config.resolve_patience) {
                    return Decision::Wait { told: None, until };
                }
            }
            Rejection::new(RejectionKind::OutcomeUnknown).after(Duration::from_secs(30))
        }
        Ok(Begun::Expired) => Rejection::new(RejectionKind::KeyExpired),
        Ok(Begun::TooManyOpen) => {
            Rejection::new(RejectionKind::TooManyUnresolved).after(Duration::from_secs(30))
        }
        Err(error) => {
            tracing::error!(target: "tollgate::idempotency", %error, "the store did not begin: nothing was sent");
            Rejection::new(RejectionKind::StoreUnavailable).after(Duration::from_secs(1))
        }
    };
    tracing::info!(target: "tollgate::idempotency", code = no.kind().code(), "refused");
    Decision::Answer(protocol.refuse(no))
}

/// A place among those who wait, given up when dropped.
struct Waiting {
    until: Instant,
    places: Arc<AtomicUsize>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.places.fetch_sub(1, Relaxed);
    }
}

/// Until when this call may wait, unless that is over or there is no place. Its waiting begins with the first look.
fn may_wait<S, St, P>(
    waiting: &mut Option<Waiting>,
    claimed: &Claimed<S, St, P>,
    at_most: Duration,
) -> Option<Instant> {
    let now = Instant::now();
    if let Some(waiting) = waiting {
        return (now < waiting.until).then_some(waiting.until);
    }
    let Terms { guard, config } = &*claimed.terms;
    if guard.waiting.fetch_add(1, Relaxed) >= config.max_waiting {
        guard.waiting.fetch_sub(1, Relaxed);
        return None;
    }
    // a time too far away to count: a year
    let until = now
        .checked_add(at_most)
        .unwrap_or(now + Duration::from_secs(365 * 24 * 60 * 60));
    let places = Arc::clone(&guard.waiting);
    *waiting = Some(Waiting { until, places });
    (now < until).then_some(until)
}

/// Nobody waits for this call any more, but it may be moving money: it goes on in a task.
#[cold]
fn detach<T: Send + 'static>(run: BoxRun<T>, home: Option<Handle>) {
    if let Some(runtime) = Handle::try_current().ok().or(home) {
        runtime.spawn(run); // the run holds its own span and tracker token
    } // no runtime left: the record stays Armed, and the sweeper makes it Unknown
}

/// A begin whose answer nobody awaits: wait for it in a task and give the claim back; nothing was sent.
#[cold]
fn give_back<St: IdempotencyStore, P: Send + Sync + 'static>(
    terms: Arc<Terms<St, P>>,
    key: RecordKey,
    begin: St::Future<Begun>,
) {
    if let Ok(runtime) = Handle::try_current() {
        let tracked = terms.guard.running.tracker.token();
        runtime.spawn(async move {
            let _tracked = tracked;
            let giving_back = pin!(async {
                if let Ok(Begun::Acquired(token)) = begin.await {
                    settle(&terms, &token, Settlement::Released).await;
                }
            });
            terms
                .guard
                .running
                .named(&key, Doing::GivingBack, giving_back)
                .await;
        });
    }
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
