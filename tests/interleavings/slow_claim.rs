//! A claim that was long in coming: its lease has run since the store wrote it, not since its owner heard of it.

use super::gates::{GatedStore, Gates, How, Place};
use super::gateway::Counting;
use std::time::Duration;
use tollgate::idempotency::{IdempotencyConfig, IdempotencyLayer};
use tollgate_core::store::memory::MemoryIdempotency;
use tollgate_core::{ManualClock, Secrets};
use tollgate_testkit::samples::sale;
use tower::{Layer, ServiceExt};

/// The store claims, its answer is lost, and the same owner asks again, which takes most of the lease. What is left of it would not last
/// for a call, so it is renewed before anything is sent. The model's first counterexample was of this kind: an owner that counts its
/// lease from the second answer sends when a resolver may have declared absence already.
#[tokio::test(start_paused = true)]
async fn it_is_renewed_before_anything_is_sent() {
    let lease = Duration::from_secs(60);
    let (clock, gates) = (ManualClock::default(), Gates::default());
    let store = GatedStore {
        inner: MemoryIdempotency::with(6_400, clock.clone()),
        gates: gates.clone(),
        flaw: None,
    };
    let gateway = Counting::new(gates.clone());
    let config = IdempotencyConfig::default().lease(lease);
    let layer = IdempotencyLayer::dangerous_gateway(store, Secrets::ephemeral()).config(config);
    let call = tokio::spawn(layer.layer(gateway.clone()).oneshot(sale("order-1")));
    let pass = async |place: Place, how: How| {
        for _ in 0..4 {
            tokio::task::yield_now().await;
        }
        assert_eq!(gates.places(), [place]);
        gates.open(0, how);
    };
    pass(Place::Begin, How::FailsAfter).await;
    tokio::task::yield_now().await;
    let most = lease * 5 / 6;
    clock.advance(most);
    tokio::time::advance(most).await;
    pass(Place::Begin, How::Well).await;
    pass(Place::Ready, How::Well).await;
    pass(Place::Renew, How::Well).await;
    for place in [Place::Book, Place::Answer, Place::Settle] {
        pass(place, How::Well).await;
    }
    assert!(call.await.unwrap().is_ok());
    assert_eq!(gateway.booked(), 1);
}
