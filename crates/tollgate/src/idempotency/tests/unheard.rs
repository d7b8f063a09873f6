//! Begins whose answers are lost, in every way, before and after their lease has lapsed.

use super::stores::{Flaky, How};
use super::*;
use std::collections::VecDeque;
use std::future::{Ready, ready};
use std::sync::Mutex;
use std::time::Duration;
use tokio::time::{advance, sleep};
use tollgate_core::Timestamp;
use tollgate_core::store::idempotency::{Resolution, *};
use tollgate_core::store::{Boxed, Capabilities, StoreError};
use tower::{Layer, ServiceExt};

/// What becomes of a begin.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    /// It is done at once and answered later.
    Answered,
    /// It is done at once, and its answer is lost.
    Unheard,
    /// It never comes to the store.
    Lost,
    /// It comes to the store when nobody counts on it any more.
    Stray,
}

/// How long an answer takes, or its loss.
const TAKES: Duration = Duration::from_secs(10);
const LEASE: Duration = Duration::from_secs(60);

/// A store whose begins have each a fate; from then on they are answered at once.
#[derive(Clone)]
struct Fated {
    inner: MemoryIdempotency,
    fates: Arc<Mutex<VecDeque<Fate>>>,
    stray: Arc<Mutex<Option<Begin>>>,
    renewals: Arc<AtomicU32>,
    looks: Arc<AtomicU32>,
    is_away: bool,
    /// How long the answers to begins take, or their loss.
    takes: Duration,
    /// How long the answers to arms and renewals take.
    answers_after: Duration,
    secrets: Secrets,
}

impl Fated {
    fn new(inner: &MemoryIdempotency, fates: &[Fate]) -> Self {
        Self {
            inner: inner.clone(),
            fates: Arc::new(Mutex::new(fates.iter().copied().collect())),
            stray: Arc::default(),
            renewals: Arc::default(),
            looks: Arc::default(),
            is_away: false,
            takes: TAKES,
            answers_after: Duration::ZERO,
            secrets: Secrets::ephemeral(),
        }
    }

    fn layer(&self) -> IdempotencyLayer<Self, crate::Gateway> {
        let config = IdempotencyConfig::default().lease(LEASE);
        IdempotencyLayer::dangerous_gateway(self.clone(), self.secrets.clone()).config(config)
    }
}

fn after<T: Send + 'static>(time: Duration, answer: Ready<Result<T, StoreError>>) -> Boxed<T> {
    Box::pin(async move {
        if !time.is_zero() {
            sleep(time).await;
        }
        answer.await
    })
}

fn lost<T>() -> Result<T, StoreError> {
    Err(StoreError::unavailable("down").possibly_applied())
}

impl IdempotencyStore for Fated {
    type Future<T: Send + 'static> = Boxed<T>;
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
    fn now(&self) -> Boxed<Timestamp> {
        Box::pin(self.inner.now())
    }
    fn begin(&self, begin: Begin) -> Boxed<Begun> {
        if self.is_away {
            return Box::pin(ready(lost()));
        }
        let Some(fate) = self.fates.lock().unwrap().pop_front() else {
            return Box::pin(self.inner.begin(begin));
        };
        let answer = match fate {
            Fate::Answered => self.inner.begin(begin).into_inner(),
            Fate::Unheard => self.inner.begin(begin).into_inner().and_then(|_| lost()),
            Fate::Lost => lost(),
            Fate::Stray => {
                *self.stray.lock().unwrap() = Some(begin);
                lost()
            }
        };
        after(self.takes, ready(answer))
    }
    fn arm(&self, token: Token, lease: Duration) -> Boxed<Held> {
        after(self.answers_after, self.inner.arm(token, lease))
    }
    fn renew(&self, token: Token, lease: Duration) -> Boxed<Held> {
        self.renewals.fetch_add(1, SeqCst);
        after(self.answers_after, self.inner.renew(token, lease))
    }
    fn settle(&self, token: Token, settlement: &Settlement) -> Boxed<Settled> {
        Box::pin(self.inner.settle(token, settlement))
    }
    fn resolve(&self, resolve: Resolve) -> Boxed<Resolved> {
        Box::pin(self.inner.resolve(resolve))
    }
    fn get(&self, key: RecordKey) -> Boxed<Option<Record>> {
        self.looks.fetch_add(1, SeqCst);
        match self.is_away {
            true => Box::pin(ready(lost())),
            false => Box::pin(self.inner.get(key)),
        }
    }
    fn unresolved(&self, after: Option<RecordKey>, limit: u32) -> Boxed<Vec<Unresolved>> {
        Box::pin(self.inner.unresolved(after, limit))
    }
    fn sweep(&self, limit: u32) -> Boxed<u64> {
        Box::pin(self.inner.sweep(limit))
    }
    fn collect(&self, tombstone: Duration, limit: u32) -> Boxed<u64> {
        Box::pin(self.inner.collect(tombstone, limit))
    }
}

async fn settled() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

/// Two begins with any fates; the lease lapses before any of them, or never; the caller goes away before any of them, or never. What was
/// never sent leaves no doubt, and its key is free.
#[tokio::test(start_paused = true)]
async fn what_was_never_sent_leaves_no_doubt() {
    let fates = [Fate::Answered, Fate::Unheard, Fate::Lost];
    let cases = fates.into_iter().flat_map(|first| {
        fates.into_iter().flat_map(move |second| {
            (0..4).flat_map(move |lapses| (0..4).map(move |goes| (first, second, lapses, goes)))
        })
    });
    for (first, second, lapses, goes) in cases {
        for arm in [ArmPolicy::AtBegin, ArmPolicy::BeforeCall] {
            let case = format!("{first:?}, {second:?}, lapses at {lapses}, goes away at {goes}, {arm:?}");
            let (inner, clock) = store();
            let layer = Fated::new(&inner, &[first, second]).layer();
            let layer = layer.config(IdempotencyConfig::default().lease(LEASE).arm(arm));
            let gateway = Gateway::booking();
            let service = layer.layer(gateway.clone());
            let call = tokio::spawn(service.clone().oneshot(sale("k", 100)));
            for answered in 0..3 {
                settled().await;
                if lapses == answered {
                    clock.advance(LEASE * 2);
                }
                if goes == answered {
                    call.abort();
                    settled().await;
                }
                advance(TAKES + Duration::from_millis(1)).await;
            }
            drop(call.await);
            layer.drain(Duration::from_secs(600)).await.unwrap();
            assert_eq!(inner.unresolved(None, 10).await.unwrap(), [], "{case}");
            let next = service.oneshot(sale("k", 100)).await;
            assert!(next.is_ok(), "{case}: {next:?}");
            assert_eq!((gateway.calls(), gateway.booked()), (1, 1), "{case}");
        }
    }
}

/// The claim was made, and its answer lost, and lost again. Nothing was sent, so the key must be free again, without a doubt that
/// somebody would have to look into; also when its lease has lapsed meanwhile and somebody swept.
#[tokio::test(start_paused = true)]
async fn a_claim_of_which_nobody_heard_is_given_back() {
    for (arm, lapses) in [
        (ArmPolicy::AtBegin, false),
        (ArmPolicy::BeforeCall, false),
        (ArmPolicy::AtBegin, true),
    ] {
        let (inner, clock) = store();
        let store = Flaky::over(inner.clone(), "begin", 2).how(How::Loses(Duration::ZERO));
        let gateway = Gateway::booking();
        let layer = IdempotencyLayer::gateway(store, Secrets::ephemeral())
            .unwrap()
            .config(IdempotencyConfig::default().arm(arm));
        let service = layer.layer(gateway.clone());
        let error = service.clone().oneshot(sale("k", 100)).await.unwrap_err();
        assert_eq!(error.code(), Some("store-unavailable"));
        // it stands: who asks now meets it
        let error = service.clone().oneshot(sale("k", 100)).await.unwrap_err();
        assert_eq!(error.code(), Some("in-progress"));
        if lapses {
            clock.advance(Duration::from_secs(3600));
            assert_eq!(inner.sweep(10).await.unwrap(), 1);
            assert_eq!(inner.unresolved(None, 10).await.unwrap().len(), 1);
        }
        layer.drain(Duration::from_secs(60)).await.unwrap();
        assert_eq!(inner.unresolved(None, 10).await.unwrap(), []);
        assert!(service.oneshot(sale("k", 100)).await.is_ok());
        assert_eq!((gateway.calls(), gateway.booked()), (1, 1));
    }
}

/// As above, for a caller that goes away before the loss is known.
#[tokio::test(start_paused = true)]
async fn a_claim_of_which_nobody_hears_any_more_is_given_back() {
    let inner = store().0;
    let lost = Flaky::over(inner.clone(), "begin", 1).how(How::Loses(Duration::from_secs(10)));
    let gateway = Gateway::booking();
    let layer = IdempotencyLayer::gateway(lost, Secrets::ephemeral()).unwrap();
    let service = layer.layer(gateway.clone());
    let call = service.clone().oneshot(sale("k", 100));
    assert!(tokio::time::timeout(Duration::from_secs(1), call).await.is_err());
    let error = service.clone().oneshot(sale("k", 100)).await.unwrap_err();
    assert_eq!(error.code(), Some("in-progress"));
    layer.drain(Duration::from_secs(60)).await.unwrap();
    assert!(service.oneshot(sale("k", 100)).await.is_ok());
    assert_eq!((gateway.calls(), gateway.booked()), (1, 1));
}

/// It is looked for as long as the store is away, until the store says that there is none; and what stands there by then is another's.
#[tokio::test(start_paused = true)]
async fn a_claim_that_was_never_made_is_looked_for_in_vain() {
    for looks_that_fail in [0, 5] {
        let inner = store().0;
        let down = Flaky::over(inner.clone(), "begin get", 2 + looks_that_fail);
        let gateway = Gateway::booking();
        let layer = IdempotencyLayer::gateway(down.clone(), Secrets::ephemeral()).unwrap();
        let service = layer.layer(gateway.clone());
        let error = service.clone().oneshot(sale("k", 100)).await.unwrap_err();
        assert_eq!(error.code(), Some("store-unavailable"));
        loop {
            sleep(Duration::from_millis(1)).await;
            if down.failures_left() == 0 {
                break;
            }
        }
        let second = service.clone().oneshot(sale("k", 100)).await;
        assert!(second.is_ok(), "{second:?}");
        assert_eq!(layer.running_calls()[0].doing, Doing::GivingBack);
        layer.drain(Duration::from_secs(60)).await.unwrap();
        assert_eq!(service.oneshot(sale("k", 100)).await, second);
        assert_eq!(gateway.booked(), 1);
    }
}

/// A begin that was taken for lost, at once or after a while, claims the key while its caller waits for another's claim. That lease has
/// run for longer than the last begin took, so it is renewed before anything is sent.
#[tokio::test(start_paused = true)]
async fn a_claim_made_by_a_stray_begin_is_renewed() {
    for takes in [TAKES, Duration::ZERO] {
        let (inner, clock) = store();
        // somebody else's call runs under the key
        let secrets = Secrets::ephemeral();
        let other = IdempotencyLayer::dangerous_gateway(inner.clone(), secrets.clone());
        let stuck = Gateway::booking().pausing(u32::MAX);
        let mut stuck = Box::pin(other.layer(stuck).oneshot(sale("k", 100)));
        let polled = std::future::poll_fn(|cx| Poll::Ready(stuck.as_mut().poll(cx)));
        assert!(polled.await.is_pending());
        let store = Fated {
            takes,
            secrets,
            ..Fated::new(&inner, &[Fate::Stray])
        };
        let config = IdempotencyConfig::default().lease(LEASE).look_again(LEASE);
        let waits = config.while_in_flight(WhileInFlight::Wait(LEASE * 10));
        let gateway = Gateway::booking();
        let service = store.layer().config(waits).layer(gateway.clone());
        let call = tokio::spawn(service.oneshot(sale("k", 100)));
        settled().await;
        advance(takes).await;
        settled().await;
        // and gives it back, and then the stray begin arrives
        let begin = store.stray.lock().unwrap().unwrap();
        let held = inner.get(begin.key).await.unwrap().unwrap();
        let held = Token {
            key: begin.key,
            epoch: held.epoch,
            owner: held.owner,
        };
        inner.settle(held, &Settlement::Released).await.unwrap();
        assert!(matches!(inner.begin(begin).await.unwrap(), Begun::Acquired(_)));
        clock.advance(LEASE - Duration::from_secs(1));
        advance(LEASE).await;
        assert!(call.await.unwrap().is_ok());
        assert_eq!(
            (gateway.booked(), store.renewals.load(SeqCst)),
            (1, 1),
            "{takes:?}"
        );
        std::mem::forget(stuck); // its process died
    }
}

/// While a store is away, each begin may be one that it has done: but those who look for their claims must not be what keeps it away.
#[tokio::test(start_paused = true)]
async fn an_outage_is_not_made_worse_by_those_who_look() {
    let store = Fated {
        is_away: true,
        ..Fated::new(&store().0, &[])
    };
    let layer = store.layer();
    let service = layer.layer(Gateway::booking());
    for number in 0..3000 {
        let refused = service.clone().oneshot(sale(&number.to_string(), 100)).await;
        assert_eq!(refused.unwrap_err().code(), Some("store-unavailable"));
    }
    layer.drain(Duration::from_secs(600)).await.unwrap();
    assert_eq!(store.looks.load(SeqCst), 60 * 1000);
}

/// The arm, or the renewal of a claim that was long in coming, is done at once, and its answer takes longer than the lease that it gave.
/// Whoever looked meanwhile was right to say that nothing was sent, and the key has run again: so nothing may be sent any more.
#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_after_the_lease_it_gave_sends_nothing() {
    for (arm, fates) in [
        (ArmPolicy::BeforeCall, vec![]),
        (ArmPolicy::AtBegin, vec![Fate::Lost, Fate::Answered]),
    ] {
        let (inner, clock) = store();
        let store = Fated {
            answers_after: LEASE * 4,
            ..Fated::new(&inner, &fates)
        };
        let config = IdempotencyConfig::default()
            .arm(arm)
            .lease(TAKES * 3)
            .renew_for(Duration::ZERO);
        let gateway = Gateway::booking();
        let call = store
            .layer()
            .config(config)
            .layer(gateway.clone())
            .oneshot(sale("k", 100));
        let call = tokio::spawn(call);
        for _ in 0..2 {
            settled().await;
            advance(TAKES).await;
        }
        settled().await;
        clock.advance(LEASE);
        let now = inner.now().await.unwrap();
        let open = inner
            .unresolved(None, 10)
            .await
            .unwrap()
            .pop()
            .expect("armed, and silent");
        let absent = Resolve {
            key: open.key,
            epoch: open.epoch,
            as_of: now,
            resolution: Resolution::Released,
            evidence: Evidence {
                actor: "resolver".into(),
                reason: "looked".into(),
            },
        };
        assert_eq!(inner.resolve(absent).await.unwrap(), Resolved::Resolved);
        let elsewhere =
            IdempotencyLayer::dangerous_gateway(inner, store.secrets.clone()).layer(gateway.clone());
        assert!(elsewhere.oneshot(sale("k", 100)).await.is_ok());
        let refused = call.await.unwrap();
        assert!(refused.is_err(), "{arm:?}: {refused:?}");
        assert_eq!(gateway.booked(), 1, "{arm:?}");
    }
}

/// A caller that goes away where no runtime is: its claim is given back on the one that it was asked on.
#[test]
fn a_caller_that_goes_away_outside_its_runtime() {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    let inner = store().0;
    let layer = Fated::new(&inner, &[Fate::Answered]).layer();
    let gateway = Gateway::booking();
    let service = layer.layer(gateway.clone());
    let mut call = Box::pin(service.clone().oneshot(sale("k", 100)));
    runtime.block_on(async {
        let polled = std::future::poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx)));
        assert!(polled.await.is_pending());
    });
    drop(call);
    runtime.block_on(async {
        layer.drain(Duration::from_secs(600)).await.unwrap();
        assert!(service.oneshot(sale("k", 100)).await.is_ok());
    });
    assert_eq!(gateway.booked(), 1);
}
