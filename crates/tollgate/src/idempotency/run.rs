//! From claim to settlement, top to bottom.

use super::caught::caught;
use super::config::{ArmPolicy, IdempotencyConfig};
use super::guard::{Guard, Terms};
use super::renewal::Renewal;
use super::running::Doing;
use crate::causes::Causes;
use std::future::poll_fn;
use std::panic::resume_unwind;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tollgate_core::protocol::Replays;
use tollgate_core::store::idempotency::{
    Completion, Doubt, Held, IdempotencyStore, Phase, Settled, Settlement, Token,
};
use tollgate_core::{Effect, KeyInForce, Rejection, RejectionKind};
use tower_service::Service;

pub(super) type BoxRun<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A call that holds its claim: which service, and under which terms.
pub(super) struct Claimed<S, St, P> {
    pub(super) inner: S,
    pub(super) terms: Arc<Terms<St, P>>,
}

/// Starts the guarded call. The future must run to its end: whoever stops to await it hands it to a task. `asked` is when the claim
/// was asked for, if that took time: its lease may have begun then.
pub(super) fn run<S, St, P, Req>(
    claimed: Claimed<S, St, P>,
    mut req: Option<Req>,
    token: Token,
    asked: Option<Instant>,
) -> BoxRun<Result<S::Response, S::Error>>
where
    S: Service<Req, Future: Send, Response: Send + 'static, Error: Send + 'static> + Send + 'static,
    St: IdempotencyStore,
    P: Replays<Req, S::Response, S::Error, Capture: Send> + Send + Sync + 'static,
    Req: Send + 'static,
{
    let tracked = claimed.terms.guard.running.tracker.token();
    let Claimed { mut inner, terms } = claimed;
    // the caller's span goes with the call, also into a task
    let span = tracing::Span::current();
    // made where it stays, in its box: the request, and all that the call will need, is large, and every move of it costs
    Box::pin(async move {
        let _tracked = &tracked;
        let mut call = pin!(under_claim(&mut inner, &terms, &mut req, &token, asked));
        let mut renewal = Renewal::default();
        let kept = pin!(poll_fn(|cx| {
            let _in_span = span.enter();
            let polled = call.as_mut().poll(cx);
            if polled.is_pending() {
                renewal.poll(&terms, &token, cx);
            }
            polled
        }));
        terms.guard.running.named(&token.key, Doing::Calling, kept).await
    })
}

#[expect(
    clippy::manual_async_fn,
    reason = "an `async fn` would keep its arguments twice, in every call's future"
)]
fn under_claim<'c, S, St, P, Req>(
    inner: &'c mut S,
    terms: &'c Arc<Terms<St, P>>,
    req: &'c mut Option<Req>,
    token: &'c Token,
    asked: Option<Instant>,
) -> impl Future<Output = Result<S::Response, S::Error>> + Send + 'c
where
    S: Service<Req, Future: Send, Response: Send, Error: Send> + Send,
    St: IdempotencyStore,
    P: Replays<Req, S::Response, S::Error, Capture: Send> + Send + Sync + 'static,
    Req: Send,
{
    async move {
        let Terms { guard, config } = &**terms;
        let protocol = &guard.protocol;
        let waited = match caught(|| readied(inner)).await {
            Ok(Ok(waited)) => waited,
            Ok(Err(dead)) => {
                settle(terms, token, Settlement::Released).await;
                return Err(dead);
            }
            Err(panic) => {
                settle(terms, token, Settlement::Released).await;
                resume_unwind(panic);
            }
        };
        if let Some(no) = not_held(terms, token, asked.or(waited)).await {
            return protocol.refuse(no);
        }
        let key = KeyInForce::for_claim(token, &guard.secrets);
        let send = || {
            if let Some(req) = req {
                protocol.context_mut(req).key = Some(key.clone());
            }
            match req.take() {
                Some(req) => inner.call(req),
                None => unreachable!("called once"),
            }
        };
        let Ok(answer) = caught(send).await else {
            tracing::error!(target: "tollgate::idempotency", record = %token.key, "the guarded call panicked: outcome unknown");
            let settlement = match is_rolled_back(&key, config) {
                true => Settlement::Released,
                false => Settlement::Unknown(Doubt::Panicked),
            };
            settle(terms, token, settlement).await;
            return protocol.in_doubt(None);
        };
        let verdict = protocol.judge(&answer);
        let last = verdict.effect;
        match key.ledger().total(last) {
            total @ (Effect::Executed | Effect::Declined) => {
                // what became of it is known, also when its answer breaks while it is read
                let captured = caught(|| protocol.capture(answer)).await;
                let (answer, envelope) = captured
                    .unwrap_or_else(|_panic| (protocol.refuse(RejectionKind::NotReplayable.into()), None));
                let completion = Completion {
                    executed: total == Effect::Executed,
                    envelope,
                };
                match settle(terms, token, Settlement::Completed(completion)).await {
                    true => answer,
                    false => protocol.not_stored(answer),
                }
            }
            Effect::NotSent | Effect::TurnedAway => {
                settle(terms, token, Settlement::Released).await;
                answer
            }
            Effect::Unknown if is_rolled_back(&key, config) => {
                settle(terms, token, Settlement::Released).await;
                answer
            }
            Effect::Unknown => {
                tracing::warn!(
                    target: "tollgate::idempotency", record = %token.key, epoch = token.epoch, blame = verdict.blame.as_str(),
                    "outcome unknown"
                );
                settle(terms, token, Settlement::Unknown(Doubt::AnswerInDoubt)).await;
                // the last attempt may say "not sent" where the sum says otherwise: do not repeat the lie
                protocol.in_doubt((last == Effect::Unknown).then_some(answer))
            }
        }
    }
}

/// Waits until the service is ready. Since when it had to be waited for, if it had to.
async fn readied<S: Service<Req>, Req>(inner: &mut S) -> Result<Option<Instant>, S::Error> {
    let (ready, since) = waited_for(poll_fn(|cx| inner.poll_ready(cx))).await;
    ready.map(|()| since)
}

/// What comes of it, and since when it had to be waited for, if it had to: what is there at once costs no look at the clock.
async fn waited_for<F: Future>(future: F) -> (F::Output, Option<Instant>) {
    let mut future = pin!(future);
    let mut since = None;
    let output = poll_fn(|cx| {
        let polled = future.as_mut().poll(cx);
        if polled.is_pending() {
            since.get_or_insert_with(Instant::now);
        }
        polled
    })
    .await;
    (output, since)
}

/// Whether a doubt is none: a handler that works in a transaction has committed its rows and the outcome, and then the store refuses
/// a release, or nothing, and then it is right. Not if it asked a peer too, whatever the policy says.
fn is_rolled_back(key: &KeyInForce, config: &IdempotencyConfig) -> bool {
    let asked_nobody = !key.is_taken() && key.ledger().total(Effect::NotSent) == Effect::NotSent;
    config.arm == ArmPolicy::InTransaction && asked_nobody
}

/// The claim is not held, or not known to be: nothing was sent, and nothing will be.
struct NotHeld {
    why: Rejection,
    /// It may be held all the same, so it is given back.
    release: bool,
}

impl NotHeld {
    fn because(kind: RejectionKind, release: bool) -> Self {
        let why = Rejection::new(kind).after(Duration::from_secs(1));
        Self { why, release }
    }
}

/// Why this call must not be sent, if so. `waited_since` is when it began to wait for its claim or for its service, if it did.
///
/// A lease runs from when the store wrote it, and the answer that tells of it may take longer than it lasts: by then somebody may have
/// declared that nothing will be sent. So one that has run for half of its time is renewed first, and if that takes as long, nothing is sent.
async fn not_held<St: IdempotencyStore, P: Send + Sync + 'static>(
    terms: &Arc<Terms<St, P>>,
    token: &Token,
    waited_since: Option<Instant>,
) -> Option<Rejection> {
    let Terms { guard, config } = &**terms;
    let lease = config.lease;
    let is_old = |since: Option<Instant>| since.is_some_and(|since| since.elapsed() >= lease / 2);
    let (mut held, mut since) = match config.arm {
        ArmPolicy::BeforeCall => waited_for(arm(guard, token, lease)).await,
        ArmPolicy::AtBegin => (Ok(()), waited_since),
        ArmPolicy::InTransaction => return None,
    };
    if held.is_ok() && is_old(since) {
        (held, since) = waited_for(still_held(guard, token, lease)).await;
        if held.is_ok() && is_old(since) {
            held = Err(NotHeld::because(RejectionKind::StoreUnavailable, true));
        }
    }
    let no = held.err()?;
    if no.release {
        settle(terms, token, Settlement::Released).await;
    }
    Some(no.why)
}

/// Nothing was sent yet, so any doubt about the arm means: do not send.
async fn arm<St: IdempotencyStore, P>(
    guard: &Guard<St, P>,
    token: &Token,
    lease: Duration,
) -> Result<(), NotHeld> {
    match guard.store.arm(*token, lease).await {
        Ok(Held::Held) => Ok(()),
        Ok(Held::Fenced) => Err(NotHeld::because(RejectionKind::KeyInFlight, false)),
        Err(error) => {
            tracing::error!(
                target: "tollgate::idempotency", record = %token.key, error = %Causes(&error),
                "the store did not arm: nothing was sent"
            );
            Err(NotHeld::because(RejectionKind::StoreUnavailable, true))
        }
    }
}

/// As [`arm`], for a claim that was armed when it was made.
async fn still_held<St: IdempotencyStore, P>(
    guard: &Guard<St, P>,
    token: &Token,
    lease: Duration,
) -> Result<(), NotHeld> {
    match guard.store.renew(*token, lease).await {
        Ok(Held::Held) => Ok(()),
        Ok(Held::Fenced) => Err(NotHeld::because(RejectionKind::KeyInFlight, true)),
        Err(_) => Err(NotHeld::because(RejectionKind::StoreUnavailable, true)),
    }
}

/// How long writing goes on in the background when the store stays away.
const BACKGROUND_TRIES: u32 = 60;

/// The one write that must not be given up early. Waits for the store as long as the settings allow, then goes on in a
/// tracked task while the caller hears the truth. Whether the store has answered.
#[expect(
    clippy::manual_async_fn,
    reason = "an `async fn` would keep its arguments twice, in every call's future"
)]
pub(super) fn settle<'c, St: IdempotencyStore, P: Send + Sync + 'static>(
    terms: &'c Arc<Terms<St, P>>,
    token: &'c Token,
    settlement: Settlement,
) -> impl Future<Output = bool> + Send + 'c {
    async move {
        match terms.guard.store.settle(*token, &settlement).await {
            Ok(settled) => {
                report(token, &settlement, settled, terms.config.arm);
                true
            }
            Err(error) => {
                tracing::warn!(
                    target: "tollgate::idempotency", record = %token.key, error = %Causes(&error),
                    "the store did not settle; trying again"
                );
                // in a box: every call would carry its timers along
                Box::pin(settle_patiently(terms, *token, settlement)).await
            }
        }
    }
}

#[cold]
async fn settle_patiently<St: IdempotencyStore, P: Send + Sync + 'static>(
    terms: &Arc<Terms<St, P>>,
    token: Token,
    settlement: Settlement,
) -> bool {
    let again = settle_with_retries(terms, &token, &settlement, u32::MAX);
    if tokio::time::timeout(terms.config.settle_patience, again)
        .await
        .is_ok()
    {
        return true;
    }
    tracing::error!(target: "tollgate::idempotency", record = %token.key, "the answer is told before it is stored");
    let terms = Arc::clone(terms);
    let tracker = terms.guard.running.tracker.clone();
    tracker.spawn(async move {
        let writing = pin!(settle_with_retries(&terms, &token, &settlement, BACKGROUND_TRIES));
        terms
            .guard
            .running
            .named(&token.key, Doing::Settling, writing)
            .await;
    });
    false
}

async fn settle_with_retries<St: IdempotencyStore, P>(
    terms: &Terms<St, P>,
    token: &Token,
    settlement: &Settlement,
    tries: u32,
) {
    let mut wait = Duration::from_millis(10);
    for _ in 0..tries {
        tokio::time::sleep(wait).await;
        if let Ok(settled) = terms.guard.store.settle(*token, settlement).await {
            return report(token, settlement, settled, terms.config.arm);
        }
        wait = (wait * 2).min(Duration::from_secs(5));
    }
    tracing::error!(
        target: "tollgate::idempotency", record = %token.key,
        "given up writing the outcome: the record stays armed and becomes unknown when its lease lapses"
    );
}

/// Somebody else decided meanwhile. If both say the same it is fine; an auditor must hear of it either way.
fn report(token: &Token, settlement: &Settlement, settled: Settled, arm: ArmPolicy) {
    let by_handler = arm == ArmPolicy::InTransaction;
    match settled {
        Settled::Applied if by_handler && is_executed(settlement) => tracing::error!(
            target: "tollgate::idempotency", record = %token.key,
            "the handler did not settle in its transaction: its rows and its answer did not commit together"
        ),
        Settled::Applied | Settled::AlreadyApplied => {}
        // the handler did it, and its answer to us was lost or was dressed up on its way here
        Settled::Fenced(Phase::Completed) if by_handler => {}
        Settled::Fenced(phase) => tracing::error!(
            target: "tollgate::idempotency", record = %token.key, ?settlement, ?phase,
            "the outcome was decided by somebody else: reconcile this key"
        ),
        Settled::Gone => tracing::error!(
            target: "tollgate::idempotency", record = %token.key, ?settlement, "the record of a running call is gone"
        ),
    }
}

const fn is_executed(settlement: &Settlement) -> bool {
    matches!(
        settlement,
        Settlement::Completed(Completion { executed: true, .. })
    )
}
