//! Begins whose answers are lost, in every way, before and after their lease has lapsed.

use super::*;
use std::iter::repeat;
use std::time::Duration;
use tokio::time::{advance, sleep};
use tollgate_core::store::idempotency::{Resolution, *};
use tollgate_testkit::fault::{Fault, Faulty, When};
use tower::{Layer, ServiceExt};

/// How long an answer takes, or its loss.
const TAKES: Duration = Duration::from_secs(10);
const LEASE: Duration = Duration::from_secs(60);

/// What becomes of a begin: it is done at once and answered later, or its answer is lost by then, or it never comes to the store.
fn fates() -> [Fault; 3] {
    [Fault::NONE, When::After.into(), When::BeforeInDoubt.into()].map(|fate| fate.heard_after(TAKES))
}

/// A layer over the store, with a lease of a minute.
fn over(store: &Faulty<MemoryIdempotency>) -> IdempotencyLayer<Faulty<MemoryIdempotency>, crate::Gateway> {
    let config = IdempotencyConfig::default().lease(LEASE);
    IdempotencyLayer::dangerous_gateway(store.clone(), Secrets::ephemeral()).config(config)
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
    let cases = fates().into_iter().flat_map(|first| {
        fates().into_iter().flat_map(move |second| {
            (0..4).flat_map(move |lapses| (0..4).map(move |goes| (first, second, lapses, goes)))
        })
    });
    for (first, second, lapses, goes) in cases {
        for arm in [ArmPolicy::AtBegin, ArmPolicy::BeforeCall] {
            let case = format!("{first:?}, {second:?}, lapses at {lapses}, goes away at {goes}, {arm:?}");
            let (inner, clock) = store();
            let store = Faulty::new(inner.clone()).failing_at("begin", [first, second]);
            let layer = over(&store).config(IdempotencyConfig::default().lease(LEASE).arm(arm));
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
        let store = Faulty::new(inner.clone()).failing_at("begin", [When::After; 2]);
        let gateway = Gateway::booking();
        let layer = IdempotencyLayer::dangerous_gateway(store, Secrets::ephemeral())
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

/// As above, where asking again fails for certain: that failure says nothing of the begin whose answer was lost.
#[tokio::test(start_paused = true)]
async fn a_certain_failure_does_not_hide_the_doubt_before_it() {
    let (inner, _) = store();
    let store = Faulty::new(inner.clone()).failing_at("begin", [When::After, When::Before]);
    let gateway = Gateway::booking();
    let layer = IdempotencyLayer::dangerous_gateway(store, Secrets::ephemeral());
    let service = layer.layer(gateway.clone());
    let error = service.clone().oneshot(sale("k", 100)).await.unwrap_err();
    assert_eq!(error.code(), Some("store-unavailable"));
    layer.drain(Duration::from_secs(60)).await.unwrap();
    assert!(service.oneshot(sale("k", 100)).await.is_ok());
    assert_eq!((gateway.calls(), gateway.booked()), (1, 1));
}

/// As above, for a caller that goes away before the loss is known.
#[tokio::test(start_paused = true)]
async fn a_claim_of_which_nobody_hears_any_more_is_given_back() {
    let lost = Fault::from(When::After).heard_after(TAKES);
    let store = Faulty::new(store().0).failing_at("begin", [lost]);
    let gateway = Gateway::booking();
    let layer = IdempotencyLayer::dangerous_gateway(store, Secrets::ephemeral());
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
    for looks_that_fail in [0u32, 5] {
        let down = Faulty::new(store().0)
            .failing_at("begin", [When::BeforeInDoubt; 2])
            .failing_at("get", (0..looks_that_fail).map(|_| When::BeforeInDoubt));
        let gateway = Gateway::booking();
        let layer = IdempotencyLayer::dangerous_gateway(down.clone(), Secrets::ephemeral());
        let service = layer.layer(gateway.clone());
        let error = service.clone().oneshot(sale("k", 100)).await.unwrap_err();
        assert_eq!(error.code(), Some("store-unavailable"));
        loop {
            sleep(Duration::from_millis(1)).await;
            if down.operations_of("get") >= u64::from(looks_that_fail) {
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
        // and nobody tells who waits for it that it has ended
        let store = Faulty::new(inner.clone())
            .failing_at("begin", [Fault::stray(TAKES * 2).heard_after(takes)])
            .failing_at("changed", [When::Before]);
        let config = IdempotencyConfig::default().lease(LEASE).look_again(LEASE);
        let waits = config.while_in_flight(WhileInFlight::Wait(LEASE * 10));
        let gateway = Gateway::booking();
        let layer = IdempotencyLayer::dangerous_gateway(store.clone(), secrets.clone());
        let service = layer.config(waits).layer(gateway.clone());
        let call = tokio::spawn(service.oneshot(sale("k", 100)));
        settled().await;
        advance(takes).await;
        settled().await;
        // it is given back, and then the stray begin arrives
        let key = secrets.record_key("", "k");
        let theirs = inner.get(key).await.unwrap().unwrap();
        let held = Token {
            key,
            epoch: theirs.epoch,
            owner: theirs.owner,
        };
        inner.settle(held, &Settlement::Released).await.unwrap();
        advance(TAKES * 2).await;
        settled().await;
        let ours = inner.get(key).await.unwrap().unwrap();
        assert_eq!((ours.phase, ours.epoch), (Phase::Armed, theirs.epoch + 1));
        assert_ne!(ours.owner, theirs.owner);
        clock.advance(LEASE - Duration::from_secs(1));
        advance(LEASE).await;
        assert!(call.await.unwrap().is_ok());
        assert_eq!(
            (gateway.booked(), store.operations_of("renew")),
            (1, 1),
            "{takes:?}"
        );
        std::mem::forget(stuck); // its process died
    }
}

/// While a store is away, each begin may be one that it has done: but those who look for their claims must not be what keeps it away.
#[tokio::test(start_paused = true)]
async fn an_outage_is_not_made_worse_by_those_who_look() {
    let store = Faulty::new(store().0)
        .failing_at("begin", repeat(When::BeforeInDoubt))
        .failing_at("get", repeat(When::BeforeInDoubt));
    let layer = over(&store);
    let service = layer.layer(Gateway::booking());
    for number in 0..3000 {
        let refused = service.clone().oneshot(sale(&number.to_string(), 100)).await;
        assert_eq!(refused.unwrap_err().code(), Some("store-unavailable"));
    }
    layer.drain(Duration::from_secs(600)).await.unwrap();
    assert_eq!(store.operations_of("get"), 60 * 1000);
}

/// The arm, or the renewal of a claim that was long in coming, is done at once, and its answer takes longer than the lease that it gave.
/// Whoever looked meanwhile was right to say that nothing was sent, and the key has run again: so nothing may be sent any more.
#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_after_the_lease_it_gave_sends_nothing() {
    let [answered, _, lost] = fates();
    for (arm, fates) in [
        (ArmPolicy::BeforeCall, vec![]),
        (ArmPolicy::AtBegin, vec![lost, answered]),
    ] {
        let (inner, clock) = store();
        let held_late = repeat(Fault::NONE.heard_after(LEASE * 4));
        let store = Faulty::new(inner.clone())
            .failing_at("begin", fates)
            .failing_at("arm", held_late.clone())
            .failing_at("renew", held_late);
        let config = IdempotencyConfig::default()
            .arm(arm)
            .lease(TAKES * 3)
            .renew_for(Duration::ZERO);
        let gateway = Gateway::booking();
        let secrets = Secrets::ephemeral();
        let layer = IdempotencyLayer::dangerous_gateway(store, secrets.clone()).config(config);
        let call = tokio::spawn(layer.layer(gateway.clone()).oneshot(sale("k", 100)));
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
        let elsewhere = IdempotencyLayer::dangerous_gateway(inner, secrets).layer(gateway.clone());
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
    let [answered, ..] = fates();
    let layer = over(&Faulty::new(store().0).failing_at("begin", [answered]));
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
