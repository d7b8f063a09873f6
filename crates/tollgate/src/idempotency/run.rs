//! From claim to settlement, top to bottom.

use super::config::{ArmPolicy, IdempotencyConfig};
use super::guard::Guard;
use super::running::Doing;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::time::Instant;
use tollgate_core::protocol::Replays;
use tollgate_core::store::idempotency::{
    Completion, Doubt, Held, IdempotencyStore, Phase, Settled, Settlement, Token,
};
use tollgate_core::{Effect, KeyInForce, Rejection, RejectionKind};
use tower_service::Service;
use tracing::Instrument;

pub(super) type BoxRun<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A call that holds its claim: which service, under which guard, with which settings.
pub(super) struct Claimed<S, St, P> {
    pub(super) inner: S,
    pub(super) guard: Arc<Guard<St, P>>,
    pub(super) config: IdempotencyConfig,
}

/// Starts the guarded call. The future must run to its end: whoever stops to await it hands it to a task. `asked` is when the claim
/// was asked for, if that took time: its lease may have begun then.
pub(super) fn run<S, St, P, Req>(
    claimed: Claimed<S, St, P>,
    req: Req,
    token: Token,
    asked: Option<Instant>,
) -> BoxRun<Result<S::Response, S::Error>>
where
    S: Service<Req, Future: Send, Response: Send + 'static, Error: Send + 'static> + Send + 'static,
    St: IdempotencyStore,
    P: Replays<Req, S::Response, S::Error, Capture: Send> + Send + Sync + 'static,
    Req: Send + 'static,
{
    let tracked = claimed.guard.running.tracker.token();
    let Claimed {
        mut inner,
        guard,
        config,
    } = claimed;
    // lent to what runs, not moved into it: the request is large, and every move of it costs
    let mut req = Some(req);
    let whole = async move {
        let _tracked = &tracked;
        let call = pin!(under_claim(&mut inner, &guard, &config, &mut req, token, asked));
        guard.running.named(token.key, Doing::Calling, call).await
    };
    // the caller's span goes with the call, also into a task
    Box::pin(whole.instrument(tracing::Span::current()))
}

async fn under_claim<S, St, P, Req>(
    inner: &mut S,
    guard: &Arc<Guard<St, P>>,
    config: &IdempotencyConfig,
    req: &mut Option<Req>,
    token: Token,
    asked: Option<Instant>,
) -> Result<S::Response, S::Error>
where
    S: Service<Req>,
    St: IdempotencyStore,
    P: Replays<Req, S::Response, S::Error> + Send + Sync + 'static,
{
    let protocol = &guard.protocol;
    let waited = match caught(|| readied(inner)).await {
        Ok(Ok(waited)) => waited,
        Ok(Err(dead)) => {
            settle(guard, token, Settlement::Released, config).await;
            return Err(dead);
        }
        Err(panic) => {
            settle(guard, token, Settlement::Released, config).await;
            resume_unwind(panic);
        }
    };
    let took_long = |since: Instant| since.elapsed() >= config.lease / 2;
    let held = match config.arm {
        ArmPolicy::BeforeCall => arm(guard, token, config).await,
        // the lease may have lapsed, and somebody may have declared that nothing will be sent
        ArmPolicy::AtBegin if asked.or(waited).is_some_and(took_long) => {
            still_held(guard, token, config).await
        }
        _ => Ok(()),
    };
    if let Err(no) = held {
        if no.release {
            settle(guard, token, Settlement::Released, config).await;
        }
        return protocol.refuse(no.why);
    }
    let key = KeyInForce::for_claim(&token, &guard.secrets);
    let send = || {
        let Some(mut req) = req.take() else {
            unreachable!("called once")
        };
        protocol.context_mut(&mut req).key = Some(key.clone());
        inner.call(req)
    };
    let Ok(answer) = caught(send).await else {
        tracing::error!(target: "tollgate::idempotency", record = ?token.key, "the guarded call panicked: outcome unknown");
        let settlement = match is_rolled_back(&key, config) {
            true => Settlement::Released,
            false => Settlement::Unknown(Doubt::Panicked),
        };
        settle(guard, token, settlement, config).await;
        return protocol.in_doubt(None);
    };
    let last = protocol.judge(&answer).effect;
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
            match settle(guard, token, Settlement::Completed(completion), config).await {
                true => answer,
                false => protocol.not_stored(answer),
            }
        }
        Effect::NotSent | Effect::TurnedAway => {
            settle(guard, token, Settlement::Released, config).await;
            answer
        }
        Effect::Unknown if is_rolled_back(&key, config) => {
            settle(guard, token, Settlement::Released, config).await;
            answer
        }
        Effect::Unknown => {
            tracing::warn!(target: "tollgate::idempotency", record = ?token.key, epoch = token.epoch, "outcome unknown");
            settle(guard, token, Settlement::Unknown(Doubt::AnswerInDoubt), config).await;
            // the last attempt may say "not sent" where the sum says otherwise: do not repeat the lie
            protocol.in_doubt((last == Effect::Unknown).then_some(answer))
        }
    }
}

/// Waits until the service is ready. Since when it had to be waited for, if it had to: a service that is ready at once costs no look at
/// the clock.
async fn readied<S: Service<Req>, Req>(inner: &mut S) -> Result<Option<Instant>, S::Error> {
    let mut since = None;
    poll_fn(|cx| {
        let polled = inner.poll_ready(cx);
        if polled.is_pending() {
            since.get_or_insert_with(Instant::now);
        }
        polled
    })
    .await
    .map(|()| since)
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

/// Nothing was sent yet, so any doubt about the arm means: do not send.
async fn arm<St: IdempotencyStore, P>(
    guard: &Guard<St, P>,
    token: Token,
    config: &IdempotencyConfig,
) -> Result<(), NotHeld> {
    match guard.store.arm(token, config.lease).await {
        Ok(Held::Held) => Ok(()),
        Ok(Held::Fenced) => Err(NotHeld::because(RejectionKind::KeyInFlight, false)),
        Err(error) => {
            tracing::error!(target: "tollgate::idempotency", %error, "the store did not arm: nothing was sent");
            Err(NotHeld::because(RejectionKind::StoreUnavailable, true))
        }
    }
}

/// As [`arm`], for a claim that was armed when it was made.
async fn still_held<St: IdempotencyStore, P>(
    guard: &Guard<St, P>,
    token: Token,
    config: &IdempotencyConfig,
) -> Result<(), NotHeld> {
    match guard.store.renew(token, config.lease).await {
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
pub(super) fn settle<St: IdempotencyStore, P: Send + Sync + 'static>(
    guard: &Arc<Guard<St, P>>,
    token: Token,
    settlement: Settlement,
    config: &IdempotencyConfig,
) -> impl Future<Output = bool> + Send {
    async move {
        match guard.store.settle(token, &settlement).await {
            Ok(settled) => {
                report(token, &settlement, settled, config.arm);
                true
            }
            Err(error) => {
                tracing::warn!(target: "tollgate::idempotency", %error, "the store did not settle; trying again");
                // in a box: every call would carry its timers along
                Box::pin(settle_patiently(guard, token, settlement, config)).await
            }
        }
    }
}

#[cold]
async fn settle_patiently<St: IdempotencyStore, P: Send + Sync + 'static>(
    guard: &Arc<Guard<St, P>>,
    token: Token,
    settlement: Settlement,
    config: &IdempotencyConfig,
) -> bool {
    let arm = config.arm;
    let again = settle_with_retries(guard, token, &settlement, arm, u32::MAX);
    if tokio::time::timeout(config.settle_patience, again).await.is_ok() {
        return true;
    }
    tracing::error!(target: "tollgate::idempotency", record = ?token.key, "the answer is told before it is stored");
    let guard = Arc::clone(guard);
    let tracker = guard.running.tracker.clone();
    tracker.spawn(async move {
        let writing = pin!(settle_with_retries(
            &guard,
            token,
            &settlement,
            arm,
            BACKGROUND_TRIES
        ));
        guard.running.named(token.key, Doing::Settling, writing).await;
    });
    false
}

async fn settle_with_retries<St: IdempotencyStore, P>(
    guard: &Arc<Guard<St, P>>,
    token: Token,
    settlement: &Settlement,
    arm: ArmPolicy,
    tries: u32,
) {
    let mut wait = Duration::from_millis(10);
    for _ in 0..tries {
        tokio::time::sleep(wait).await;
        if let Ok(settled) = guard.store.settle(token, settlement).await {
            return report(token, settlement, settled, arm);
        }
        wait = (wait * 2).min(Duration::from_secs(5));
    }
    tracing::error!(
        target: "tollgate::idempotency", record = ?token.key,
        "given up writing the outcome: the record stays armed and becomes unknown when its lease lapses"
    );
}

/// Somebody else decided meanwhile. If both say the same it is fine; an auditor must hear of it either way.
fn report(token: Token, settlement: &Settlement, settled: Settled, arm: ArmPolicy) {
    let by_handler = arm == ArmPolicy::InTransaction;
    match settled {
        Settled::Applied if by_handler && is_executed(settlement) => tracing::error!(
            target: "tollgate::idempotency", record = ?token.key,
            "the handler did not settle in its transaction: its rows and its answer did not commit together"
        ),
        Settled::Applied | Settled::AlreadyApplied => {}
        // the handler did it, and its answer to us was lost or was dressed up on its way here
        Settled::Fenced(Phase::Completed) if by_handler => {}
        Settled::Fenced(phase) => tracing::error!(
            target: "tollgate::idempotency", record = ?token.key, ?settlement, ?phase,
            "the outcome was decided by somebody else: reconcile this key"
        ),
        Settled::Gone => tracing::error!(
            target: "tollgate::idempotency", record = ?token.key, ?settlement, "the record of a running call is gone"
        ),
    }
}

const fn is_executed(settlement: &Settlement) -> bool {
    matches!(
        settlement,
        Settlement::Completed(Completion { executed: true, .. })
    )
}

/// The future's output, or its panic. Covers `call` itself as well as every poll.
async fn caught<F: Future>(make: impl FnOnce() -> F) -> std::thread::Result<F::Output> {
    let mut future = pin!(catch_unwind(AssertUnwindSafe(make))?);
    poll_fn(
        |cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Ok(Poll::Pending) => Poll::Pending,
            Err(panic) => Poll::Ready(Err(panic)),
        },
    )
    .await
}
