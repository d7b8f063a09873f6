//! Cut at every point where it can be cut.

use super::*;
use std::time::Duration;
use tollgate_core::store::idempotency::IdempotencyStore;
use tower::{Layer, ServiceExt};

/// seed I1: a cancelled call left the key stuck for 24 hours. Dropped after any number of polls, at most one charge is
/// made, and the retry gets its answer.
#[tokio::test(start_paused = true)]
async fn a_client_that_hangs_up_never_cuts_a_charge() {
    for arm in [ArmPolicy::AtBegin, ArmPolicy::BeforeCall] {
        for polls in 0..12 {
            let gateway = Gateway::booking().pausing(4);
            let layer = layer(store().0).config(IdempotencyConfig::default().arm(arm));
            let service = layer.layer(gateway.clone());
            {
                let mut call = tokio_test_poll(service.clone().oneshot(sale("k", 100)));
                for _ in 0..polls {
                    if call.poll_once().await {
                        break;
                    }
                }
            } // hangs up
            layer.drain(Duration::from_secs(5)).await.unwrap();
            let cut_before_the_call = gateway.booked() == 0;
            let answer = service.oneshot(sale("k", 100)).await;
            assert_eq!(answer.unwrap().id.as_str(), "pay_0", "{arm:?}, {polls} polls");
            assert_eq!(gateway.booked(), 1, "{arm:?}, {polls} polls");
            assert_eq!(cut_before_the_call, polls == 0, "{arm:?}, {polls} polls");
        }
    }
}

/// A future that can be polled a counted number of times and then dropped.
struct Counted<F: Future>(std::pin::Pin<Box<F>>);

fn tokio_test_poll<F: Future>(future: F) -> Counted<F> {
    Counted(Box::pin(future))
}

impl<F: Future> Counted<F> {
    async fn poll_once(&mut self) -> bool {
        std::future::poll_fn(|cx| Poll::Ready(self.0.as_mut().poll(cx).is_ready())).await
    }
}

/// seed I2: a process that exited left the key stuck for 24 hours. A process that died with the key armed: its lease lapses, and the key is unknown, never free.
#[tokio::test]
async fn an_owner_that_vanished_leaves_an_unknown() {
    let (store, clock) = store();
    let secrets = Secrets::ephemeral();
    let dead = IdempotencyLayer::dangerous_gateway(store.clone(), secrets.clone()).layer(tower::service_fn(
        |_: Call<Sale>| std::future::pending::<Answer>(),
    ));
    let mut call = tokio_test_poll(dead.oneshot(sale("k", 100)));
    assert!(!call.poll_once().await);
    std::mem::forget(call); // kill -9 runs no destructors

    let gateway = Gateway::booking();
    let service = IdempotencyLayer::dangerous_gateway(store.clone(), secrets).layer(gateway.clone());
    let in_flight = service.clone().oneshot(sale("k", 100)).await.unwrap_err();
    assert_eq!(
        in_flight.kind(),
        tollgate_core::PaymentErrorKind::IdempotencyInFlight
    );
    clock.advance(Duration::from_secs(61));
    let unknown = service.oneshot(sale("k", 100)).await.unwrap_err();
    assert_eq!(unknown.kind(), tollgate_core::PaymentErrorKind::UnknownOutcome);
    assert_eq!(gateway.booked(), 0);
    assert_eq!(store.unresolved(None, 10).await.unwrap().len(), 1);
}
