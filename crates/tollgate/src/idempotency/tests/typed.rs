use super::*;
use std::time::Duration;
use tollgate_core::Clock;
use tollgate_core::store::idempotency::{Completion, Evidence, IdempotencyStore, Resolution, Resolve};
use tollgate_core::{Advice, Blame, Effect, Fault, PaymentErrorKind, Verdict};
use tower::{Layer, ServiceExt};

async fn twice(gateway: &Gateway) -> (Answer, Answer) {
    let service = layer(store().0).layer(gateway.clone());
    (
        service.clone().oneshot(sale("k", 100)).await,
        service.oneshot(sale("k", 100)).await,
    )
}

#[tokio::test]
async fn a_repeat_gets_the_first_answer_and_calls_nobody() {
    let gateway = Gateway::booking();
    let (first, again) = twice(&gateway).await;
    assert_eq!(first, again);
    assert_eq!((gateway.booked(), gateway.calls()), (1, 1));
}

/// seed I3: a gateway time-out was "retriable", the slot was deleted, and the same key charged again.
#[tokio::test]
async fn after_a_timeout_the_key_does_not_run_again() {
    let gateway = Gateway::new(|_, _| Scripted::Book(Err(PaymentError::timeout("10 s"))));
    let (first, again) = twice(&gateway).await;
    assert_eq!(first.unwrap_err().kind(), PaymentErrorKind::Timeout);
    assert_eq!(again.unwrap_err().kind(), PaymentErrorKind::UnknownOutcome);
    assert_eq!(gateway.booked(), 1);
}

/// seed I4: any unexpected exception after the charge freed the key.
#[tokio::test]
async fn after_a_panic_the_key_does_not_run_again() {
    let gateway = Gateway::new(|_, _| Scripted::Panic);
    let (first, again) = twice(&gateway).await;
    assert_eq!(first.unwrap_err().verdict().effect, Effect::Unknown);
    assert_eq!(again.unwrap_err().verdict().effect, Effect::Unknown);
    assert_eq!(gateway.booked(), 1);
}

/// seed I9 and I17: a replayed failure came back as a bare base error, its challenge gone.
#[tokio::test]
async fn a_final_failure_is_replayed_as_the_same_value() {
    let gateway = Gateway::new(|_, _| {
        Scripted::Leave(Err(PaymentError::authentication_required(
            "3DS",
            "https://bank.example/c/1",
        )))
    });
    let (first, again) = twice(&gateway).await;
    assert_eq!(first, again);
    assert_eq!(
        again.unwrap_err().challenge().unwrap().url,
        "https://bank.example/c/1"
    );
    assert_eq!(gateway.calls(), 1);
}

/// What certainly did not happen may be tried again under the same key.
#[tokio::test]
async fn what_was_not_sent_runs_again() {
    let gateway = Gateway::new(|number, payment| match number {
        0 => Scripted::Leave(Err(PaymentError::not_connected("refused"))),
        1 => Scripted::Leave(Err(PaymentError::rate_limited(
            "slow down",
            Some(Duration::from_secs(1)),
        ))),
        _ => Scripted::Book(Ok(payment)),
    });
    let service = layer(store().0).layer(gateway.clone());
    assert!(service.clone().oneshot(sale("k", 100)).await.is_err());
    assert!(service.clone().oneshot(sale("k", 100)).await.is_err());
    // seed: a retriable failure opened the key to another amount; here the released row pins the fingerprint
    let other = service.clone().oneshot(sale("k", 999)).await.unwrap_err();
    assert_eq!(other.kind(), PaymentErrorKind::IdempotencyConflict);
    assert!(service.oneshot(sale("k", 100)).await.is_ok());
    assert_eq!(gateway.booked(), 1);
}

/// seed I7: positional arguments were not hashed, so another amount got the first one's answer.
#[tokio::test]
async fn another_request_under_a_used_key_is_refused() {
    let gateway = Gateway::booking();
    let service = layer(store().0).layer(gateway.clone());
    service.clone().oneshot(sale("k", 100)).await.unwrap();
    let error = service.clone().oneshot(sale("k", 101)).await.unwrap_err();
    assert_eq!(error.kind(), PaymentErrorKind::IdempotencyConflict);
    // seed I11: a refund with a charge's key got the charge's result and never ran
    let refund = Refund {
        key: IdempotencyKey::new("k").unwrap(),
        payment: PaymentId::new("pay_0").unwrap(),
        amount: None,
        reason: None,
    };
    let error: PaymentError = service.oneshot(Call::new(refund)).await.unwrap_err();
    assert_eq!(error.kind(), PaymentErrorKind::IdempotencyConflict);
}

#[tokio::test]
async fn callers_do_not_share_keys() {
    let gateway = Gateway::booking();
    let service = layer(store().0).layer(gateway.clone());
    for caller in ["merchant-1", "merchant-2"] {
        let mut call = sale("k", 100);
        call.context.caller = Some(tollgate_core::id::CallerId::new(caller).unwrap());
        service.clone().oneshot(call).await.unwrap();
    }
    assert_eq!(gateway.booked(), 2);
}

/// seed I19: exclusion held, but 63 of 64 got an error; with waiting all get the one answer.
#[tokio::test(start_paused = true)]
async fn fifty_copies_at_once_make_one_charge() {
    for (mode, expect_ok) in [
        (WhileInFlight::Refuse, 1),
        (WhileInFlight::Wait(Duration::from_secs(5)), 50),
    ] {
        let gateway = Gateway::booking().pausing(3);
        let config = IdempotencyConfig::default().while_in_flight(mode);
        let service = layer(store().0).config(config).layer(gateway.clone());
        let calls: Vec<_> = (0..50)
            .map(|_| tokio::spawn(service.clone().oneshot(sale("k", 100))))
            .collect();
        let mut ok = 0;
        for call in calls {
            match call.await.unwrap() {
                Ok(payment) => {
                    assert_eq!(payment.id.as_str(), "pay_0");
                    ok += 1;
                }
                Err(error) => {
                    assert_eq!(error.kind(), PaymentErrorKind::IdempotencyInFlight);
                    assert!(error.verdict().retry_after.is_some());
                }
            }
        }
        assert_eq!((gateway.booked(), ok), (1, expect_ok), "{mode:?}");
    }
}

/// A waiter that gives up touches nothing (arun0009/idempotent deletes the owner's entry).
#[tokio::test(start_paused = true)]
async fn a_waiter_gives_up_without_harm() {
    let (store, _) = store();
    let gateway = Gateway::booking().pausing(100_000);
    let config =
        IdempotencyConfig::default().while_in_flight(WhileInFlight::Wait(Duration::from_millis(120)));
    let service = layer(store).config(config).layer(gateway.clone());
    let first = tokio::spawn(service.clone().oneshot(sale("k", 100)));
    tokio::task::yield_now().await;
    let waited = {
        let waiter = service.clone().oneshot(sale("k", 100));
        tokio::pin!(waiter);
        loop {
            tokio::select! {
                biased;
                answer = &mut waiter => break answer,
                () = tokio::time::sleep(Duration::from_millis(1)) => {}
            }
        }
    };
    match waited {
        Err(error) => assert_eq!(error.kind(), PaymentErrorKind::IdempotencyInFlight),
        Ok(payment) => assert_eq!(payment.id.as_str(), "pay_0"),
    }
    assert!(first.await.unwrap().is_ok());
    assert_eq!(gateway.booked(), 1);
}

/// The last error says "not sent", the sum over the attempts says otherwise.
#[tokio::test]
async fn the_worst_attempt_decides() {
    let refused = || PaymentError::refused(tollgate_core::RejectionKind::CircuitOpen.into());
    let (store, _) = store();
    let gateway = tower::service_fn(move |call: Call<Sale>| async move {
        call.context.key.unwrap().ledger().record(Effect::Unknown); // attempt 1 timed out
        Err::<Payment, _>(refused()) // attempt 2 met an open breaker
    });
    let service = layer(store).layer(gateway);
    for _ in 0..2 {
        let error = service.clone().oneshot(sale("k", 100)).await.unwrap_err();
        assert_eq!(error.kind(), PaymentErrorKind::UnknownOutcome);
    }
}

#[tokio::test]
async fn one_downstream_key_for_every_run_of_a_key() {
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let keys = Arc::clone(&seen);
    let gateway = tower::service_fn(move |call: Call<Sale>| {
        let keys = Arc::clone(&keys);
        async move {
            keys.lock()
                .unwrap()
                .push(call.context.key.unwrap().downstream_key("acme"));
            Err::<Payment, _>(PaymentError::not_connected("refused"))
        }
    });
    let service = layer(store().0).layer(gateway);
    for key in ["a", "a", "b"] {
        let _ = service.clone().oneshot(sale(key, 100)).await;
    }
    let seen = seen.lock().unwrap();
    assert!(seen[0] == seen[1] && seen[1] != seen[2]);
}

#[tokio::test]
async fn an_unknown_outcome_is_resolved_by_a_lookup() {
    let gateway = Gateway::new(|_, _| Scripted::Book(Err(PaymentError::connection_lost("reset"))));
    let (store, _) = store();
    let service = layer(store.clone()).layer(gateway.clone());
    assert!(service.clone().oneshot(sale("k", 100)).await.is_err());

    let found = Gateway::booking();
    let payment = layer(MemoryIdempotency::new())
        .layer(found)
        .oneshot(sale("k", 100))
        .await
        .unwrap();
    let completion =
        stored_answer::<Call<Sale>, _, _, PaymentError>(&crate::Gateway, Ok(payment.clone())).await;
    let pass = resolve_open(&store, "resolver", |_| {
        let completion = completion.clone();
        async {
            Finding::Settled {
                completion,
                reason: "lookup found pay_0".into(),
            }
        }
    })
    .await
    .unwrap();
    assert_eq!((pass.settled, pass.open), (1, 0));
    assert_eq!(service.oneshot(sale("k", 100)).await, Ok(payment));
    assert_eq!(gateway.booked(), 1);
}

#[tokio::test]
async fn absence_is_not_declared_while_the_owner_may_still_send() {
    let (store, clock) = store();
    let gateway = Gateway::new(|_, _| Scripted::Leave(Err(PaymentError::timeout("?"))));
    let service = layer(store.clone()).layer(gateway);
    let _ = service.oneshot(sale("k", 100)).await;
    let absent = |_| async {
        Finding::Absent {
            reason: "lookup found nothing".into(),
        }
    };
    assert_eq!(resolve_open(&store, "r", absent).await.unwrap().open, 1);
    clock.advance(Duration::from_secs(61));
    assert_eq!(resolve_open(&store, "r", absent).await.unwrap().released, 1);
}

#[test]
fn a_weak_store_is_refused_when_the_layer_is_built() {
    let refused = IdempotencyLayer::gateway(MemoryIdempotency::new(), Secrets::ephemeral()).unwrap_err();
    assert!(!refused.capabilities.durable);
    assert!(refused.to_string().contains("dangerous_"));
}

#[tokio::test]
async fn a_verdict_of_ones_own_is_taken() {
    let sure = Verdict::new(Effect::TurnedAway, Advice::SameKey, Blame::Gateway);
    let gateway = Gateway::new(move |number, payment| match number {
        0 => Scripted::Leave(Err(
            PaymentError::new(PaymentErrorKind::Gateway, "503").with_verdict(sure)
        )),
        _ => Scripted::Book(Ok(payment)),
    });
    let (first, again) = twice(&gateway).await;
    assert!(first.is_err() && again.is_ok());
}

/// The inner service was busy for longer than the lease, and somebody found, truly, that nothing had been sent.
#[tokio::test(start_paused = true)]
async fn whoever_lost_its_lease_before_it_sent_sends_nothing() {
    for arm in [ArmPolicy::AtBegin, ArmPolicy::BeforeCall] {
        let (store, clock) = store();
        let gateway = Gateway::booking();
        let (busy, gate) = tollgate_testkit::probe::Gate::closed(gateway.clone());
        let config = IdempotencyConfig::default().arm(arm);
        let service = layer(store.clone()).config(config).layer(busy);
        let first = tokio::spawn(service.clone().oneshot(sale("k", 100)));
        tokio::time::sleep(Duration::from_secs(70)).await;
        clock.advance(Duration::from_secs(70));
        let absent = |_| async {
            Finding::Absent {
                reason: "nothing was sent".into(),
            }
        };
        resolve_open(&store, "ops", absent).await.unwrap();
        let second = tokio::spawn(service.oneshot(sale("k", 100)));
        tokio::time::sleep(Duration::from_secs(1)).await;
        gate.open();
        let (first, second) = (first.await.unwrap(), second.await.unwrap());
        assert_eq!(first.unwrap_err().kind(), PaymentErrorKind::IdempotencyInFlight);
        assert!(second.is_ok());
        assert_eq!(gateway.booked(), 1, "{arm:?}");
    }
}

/// Slow to become ready, but nobody looked: the lease is renewed and the call is made.
#[tokio::test(start_paused = true)]
async fn a_lapsed_lease_that_nobody_noticed_is_renewed() {
    let (store, clock) = store();
    let gateway = Gateway::booking();
    let (busy, gate) = tollgate_testkit::probe::Gate::closed(gateway.clone());
    let first = tokio::spawn(layer(store).layer(busy).oneshot(sale("k", 100)));
    tokio::time::sleep(Duration::from_secs(70)).await;
    clock.advance(Duration::from_secs(70));
    gate.open();
    assert!(first.await.unwrap().is_ok());
    assert_eq!(gateway.booked(), 1);
}

/// One caller's outcomes stay open: it gets no new keys, and nobody else notices.
#[tokio::test]
async fn a_callers_open_outcomes_have_a_cap() {
    let gateway = Gateway::new(|_, payment| match payment.amount {
        amount if amount == eur(1) => Scripted::Book(Err(PaymentError::timeout("10 s"))),
        _ => Scripted::Book(Ok(payment)),
    });
    let (store, clock) = store();
    let service = layer(store.clone())
        .config(IdempotencyConfig::default().max_unresolved(Some(2)))
        .layer(gateway.clone());
    let ask = |caller: &'static str, key: &'static str, minor| {
        let mut call = sale(key, minor);
        call.context.caller = Some(tollgate_core::id::CallerId::new(caller).unwrap());
        service.clone().oneshot(call)
    };
    assert!(ask("flood", "done", 100).await.is_ok());
    for key in ["a", "b"] {
        ask("flood", key, 1).await.unwrap_err();
    }
    let refused = ask("flood", "c", 100).await.unwrap_err();
    assert_eq!(refused.code(), Some("too-many-unresolved"));
    assert_eq!(refused.verdict().effect, Effect::NotSent);
    assert!(refused.verdict().retry_after.is_some());
    assert!(ask("honest", "c", 100).await.is_ok(), "another account");
    assert!(ask("flood", "done", 100).await.is_ok(), "a replay");
    let repeat = ask("flood", "a", 1).await.unwrap_err();
    assert_eq!(repeat.kind(), PaymentErrorKind::UnknownOutcome);
    assert_eq!(gateway.booked(), 4, "nothing was sent for what was refused");

    let open = store.unresolved(None, 1).await.unwrap()[0].clone();
    clock.advance(Duration::from_secs(61));
    let evidence = Evidence {
        actor: "ops".into(),
        reason: "captured".into(),
    };
    let completion = Completion {
        executed: true,
        envelope: None,
    };
    let resolve = Resolve {
        key: open.key,
        epoch: open.epoch,
        as_of: clock.now(),
        resolution: Resolution::Completed(completion),
        evidence,
    };
    store.resolve(resolve).await.unwrap();
    assert!(
        ask("flood", "c", 100).await.is_ok(),
        "one is known now, so there is room"
    );
}
