//! Stores that fail, at each step.

use super::*;
use std::iter::{repeat, repeat_n};
use std::time::Duration;
use tollgate_testkit::fault::{Faulty, When};
use tower::{Layer, ServiceExt};

#[tokio::test(start_paused = true)]
async fn before_money_moves_a_failing_store_fails_closed() {
    // a begin is asked twice, so that a claim whose answer was lost is found
    for (step, times, arm) in [
        ("begin", 2, ArmPolicy::AtBegin),
        ("arm", 1, ArmPolicy::BeforeCall),
    ] {
        let gateway = Gateway::booking();
        let store = Faulty::new(store().0).failing_at(step, repeat_n(When::BeforeInDoubt, times));
        let layer = IdempotencyLayer::dangerous_gateway(store, Secrets::ephemeral());
        let service = layer
            .config(IdempotencyConfig::default().arm(arm))
            .layer(gateway.clone());
        let error = service.clone().oneshot(sale("k", 100)).await.unwrap_err();
        assert_eq!(error.code(), Some("store-unavailable"), "{step}");
        assert_eq!(gateway.calls(), 0, "{step}");
        assert!(
            service.oneshot(sale("k", 100)).await.is_ok(),
            "{step}: the key is not burnt"
        );
    }
}

/// seed I20: the caller saw the store's error for a charge that went through, and the key stayed stuck for 24 hours.
#[tokio::test(start_paused = true)]
async fn after_money_moved_the_truth_is_told_and_kept() {
    for failures in [1, 3, 20] {
        let gateway = Gateway::booking();
        let store = Faulty::new(store().0).failing_at("settle", repeat_n(When::BeforeInDoubt, failures));
        let layer = IdempotencyLayer::dangerous_gateway(store, Secrets::ephemeral());
        let service = layer.layer(gateway.clone());
        let first = service.clone().oneshot(sale("k", 100)).await.unwrap();
        layer.drain(Duration::from_secs(600)).await.unwrap(); // writing went on in the background
        assert_eq!(
            service.oneshot(sale("k", 100)).await.unwrap(),
            first,
            "{failures} failures"
        );
        assert_eq!(gateway.booked(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_never_comes_back_leaves_the_key_armed() {
    let gateway = Gateway::booking();
    let store = Faulty::new(store().0).failing_at("settle", repeat(When::BeforeInDoubt));
    let layer = IdempotencyLayer::dangerous_gateway(store, Secrets::ephemeral());
    let service = layer.layer(gateway.clone());
    assert!(service.clone().oneshot(sale("k", 100)).await.is_ok());
    layer.drain(Duration::from_secs(3600)).await.unwrap();
    let error = service.oneshot(sale("k", 100)).await.unwrap_err();
    assert_eq!(error.verdict_effect(), tollgate_core::Effect::Unknown);
    assert_eq!(gateway.booked(), 1);
}

trait VerdictEffect {
    fn verdict_effect(&self) -> tollgate_core::Effect;
}

impl VerdictEffect for PaymentError {
    fn verdict_effect(&self) -> tollgate_core::Effect {
        tollgate_core::Fault::verdict(self).effect
    }
}

/// The claim was made and its answer lost. Nothing was sent: the key must not end as an unknown outcome.
#[tokio::test]
async fn a_claim_whose_answer_was_lost_is_asked_for_again() {
    for when in [When::After, When::BeforeInDoubt] {
        let gateway = Gateway::booking();
        let store = Faulty::new(store().0).failing(0, when);
        let service = IdempotencyLayer::dangerous_gateway(store, Secrets::ephemeral()).layer(gateway.clone());
        let first = service.clone().oneshot(sale("k", 100)).await;
        assert!(first.is_ok(), "{when:?}: {first:?}");
        assert_eq!(service.oneshot(sale("k", 100)).await, first);
        assert_eq!(gateway.booked(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_too_long_to_count_does_not_panic() {
    let wait = IdempotencyConfig::default().while_in_flight(WhileInFlight::Wait(Duration::MAX));
    let gateway = Gateway::booking().pausing(3);
    let service = layer(store().0).config(wait).layer(gateway.clone());
    let both = tokio::join!(
        service.clone().oneshot(sale("k", 100)),
        service.oneshot(sale("k", 100))
    );
    assert_eq!(both.0, both.1);
    assert_eq!(gateway.booked(), 1);
}
