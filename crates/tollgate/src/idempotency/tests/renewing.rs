//! A call that lasts longer than its lease is still its owner's.

use super::*;
use std::future::{pending, poll_fn};
use std::iter::repeat_n;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::time::sleep;
use tollgate_core::Timestamp;
use tollgate_core::store::idempotency::{IdempotencyStore, Phase, RecordKey};
use tollgate_testkit::RuntimeClock;
use tollgate_testkit::fault::{Fault, Faulty, When};
use tower::{Layer, ServiceExt, service_fn};

const LEASE: Duration = Duration::from_secs(60);

/// Its clock is the runtime's.
fn running_store() -> MemoryIdempotency {
    MemoryIdempotency::with(
        10_000,
        RuntimeClock::at(Timestamp::from_unix_seconds(1_700_000_000)),
    )
}

/// The phase of the one record there is, once whatever lapsed has been swept.
async fn phase<St: IdempotencyStore>(store: &St, key: RecordKey) -> Phase {
    store.sweep(10).await.unwrap();
    store.get(key).await.unwrap().unwrap().phase
}

/// Takes as long, then books.
fn slow(
    gateway: &Gateway,
    takes: Duration,
) -> impl Service<
    Call<Sale>,
    Response = Payment,
    Error = PaymentError,
    Future = impl Future<Output = Answer> + Send,
> + Clone
+ Send
+ 'static {
    let gateway = gateway.clone();
    service_fn(move |call: Call<Sale>| {
        let gateway = gateway.clone();
        async move {
            sleep(takes).await;
            gateway.oneshot(call).await
        }
    })
}

/// Nobody may take a running call for lost, whatever its resolver believes: with a gateway that does not know the key *yet*, absence
/// would free the key for a second charge.
#[tokio::test(start_paused = true)]
async fn a_call_of_ten_leases_charges_once_under_a_resolver_that_sees_nothing() {
    let (gateway, secrets, store) = (Gateway::booking(), Secrets::ephemeral(), running_store());
    let layer =
        IdempotencyLayer::dangerous_gateway(store.clone(), secrets.clone()).resolver("test", |_| async {
            Finding::Absent {
                reason: "not there".into(),
            }
        });
    let resolving = tokio::spawn(layer.clone().keep_resolving(Duration::from_secs(1)));
    let service = layer.layer(slow(&gateway, LEASE * 9));
    let first = tokio::spawn(service.clone().oneshot(sale("k", 100)));
    let key = secrets.record_key("", "k");
    for _ in 0..8 {
        sleep(LEASE).await;
        assert_eq!(phase(&store, key).await, Phase::Armed);
        let repeat = service.clone().oneshot(sale("k", 100)).await.unwrap_err();
        assert_eq!(repeat.code(), Some("in-progress"));
    }
    assert!(first.await.unwrap().is_ok());
    assert!(service.oneshot(sale("k", 100)).await.is_ok());
    assert_eq!((gateway.calls(), gateway.booked()), (1, 1));
    resolving.abort();
}

/// The caller hung up: the call goes on in a task, and its claim with it.
#[tokio::test(start_paused = true)]
async fn a_call_that_nobody_awaits_keeps_its_claim() {
    let (gateway, secrets, store) = (Gateway::booking(), Secrets::ephemeral(), running_store());
    let layer = IdempotencyLayer::dangerous_gateway(store.clone(), secrets.clone());
    let service = layer.layer(slow(&gateway, LEASE * 3));
    let call = service.clone().oneshot(sale("k", 100));
    assert!(tokio::time::timeout(LEASE / 10, call).await.is_err());
    sleep(LEASE * 2).await;
    assert_eq!(phase(&store, secrets.record_key("", "k")).await, Phase::Armed);
    layer.drain(LEASE * 3).await.unwrap();
    assert!(service.oneshot(sale("k", 100)).await.is_ok());
    assert_eq!(gateway.booked(), 1);
}

/// A store may be away for half a lease; when it stays away, the lease lapses, and the outcome is unknown until the owner tells it.
#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_for_half_a_lease_costs_no_claim() {
    for (failures, expected) in [(6, Phase::Armed), (20, Phase::Unknown)] {
        let (gateway, secrets) = (Gateway::booking(), Secrets::ephemeral());
        let away = repeat_n(When::BeforeInDoubt, failures);
        let store = Faulty::new(running_store()).failing_at("renew", away);
        let layer = IdempotencyLayer::dangerous_gateway(store.clone(), secrets.clone());
        let service = layer.layer(slow(&gateway, LEASE * 2));
        let call = tokio::spawn(service.clone().oneshot(sale("k", 100)));
        sleep(LEASE + Duration::from_millis(1)).await;
        assert_eq!(
            phase(&store, secrets.record_key("", "k")).await,
            expected,
            "{failures}"
        );
        assert!(call.await.unwrap().is_ok());
        assert!(service.oneshot(sale("k", 100)).await.is_ok());
        assert_eq!(gateway.booked(), 1);
    }
}

/// A call that hangs for ever must not hold its key for ever.
#[tokio::test(start_paused = true)]
async fn renewing_ends_after_its_time() {
    for renew_for in [Duration::ZERO, LEASE, LEASE * 10] {
        let (secrets, store) = (Secrets::ephemeral(), running_store());
        let layer = IdempotencyLayer::dangerous_gateway(store.clone(), secrets.clone())
            .config(IdempotencyConfig::default().renew_for(renew_for));
        let hangs = layer.layer(service_fn(|_: Call<Sale>| pending::<Answer>()));
        let call = tokio::spawn(hangs.oneshot(sale("k", 100)));
        let key = secrets.record_key("", "k");
        sleep(renew_for + LEASE - Duration::from_millis(1)).await;
        assert_eq!(phase(&store, key).await, Phase::Armed, "{renew_for:?}");
        sleep(Duration::from_millis(2)).await;
        assert_eq!(phase(&store, key).await, Phase::Unknown, "{renew_for:?}");
        call.abort();
    }
}

/// A short call asks its store for nothing more than it did.
#[tokio::test(start_paused = true)]
async fn a_call_shorter_than_a_third_of_its_lease_renews_nothing() {
    let (gateway, store) = (Gateway::booking(), Faulty::new(running_store()));
    let layer = IdempotencyLayer::dangerous_gateway(store.clone(), Secrets::ephemeral());
    for takes in [Duration::ZERO, LEASE / 3 - Duration::from_millis(1)] {
        let key = format!("{takes:?}");
        layer
            .layer(slow(&gateway, takes))
            .oneshot(sale(&key, 100))
            .await
            .unwrap();
    }
    assert_eq!(store.operations_of("renew"), 0);
}

/// A question that is never answered (a connection that a firewall has forgotten, a row that somebody holds) must not keep the renewal
/// from asking again: the lease would lapse under a store that is there.
#[tokio::test(start_paused = true)]
async fn a_renewal_that_is_never_answered_is_asked_again() {
    let (gateway, secrets) = (Gateway::booking(), Secrets::ephemeral());
    let store = Faulty::new(running_store()).failing_at("renew", [Fault::SILENCE; 3]);
    let layer = IdempotencyLayer::dangerous_gateway(store.clone(), secrets.clone());
    let service = layer.layer(slow(&gateway, LEASE * 4));
    let call = tokio::spawn(service.clone().oneshot(sale("k", 100)));
    let key = secrets.record_key("", "k");
    for _ in 0..3 {
        sleep(LEASE).await;
        assert_eq!(phase(&store, key).await, Phase::Armed);
    }
    assert!(call.await.unwrap().is_ok());
    assert!(store.operations_of("renew") > 3, "asked again after each silence");
    assert_eq!(gateway.booked(), 1);
}

/// A renewal is a favour to the call: what goes wrong in it must not cut a charge in half.
#[tokio::test(start_paused = true)]
async fn a_renewal_that_panics_takes_no_call_along() {
    let gateway = Gateway::booking();
    let store = Faulty::new(running_store()).failing_at("renew", [Fault::PANIC]);
    let layer = IdempotencyLayer::dangerous_gateway(store.clone(), Secrets::ephemeral());
    let service = layer.layer(slow(&gateway, LEASE / 2));
    let call = tokio::spawn(service.clone().oneshot(sale("k", 100)));
    assert!(call.await.expect("the call ends as it does").is_ok());
    assert!(store.operations_of("renew") > 0, "it did panic");
    assert!(service.oneshot(sale("k", 100)).await.is_ok());
    assert_eq!(gateway.booked(), 1);
}

/// Under another executor, and in a runtime without timers, nothing can be renewed, and a call that waits still comes to its end.
#[test]
fn a_call_needs_no_timer() {
    let gateway = Gateway::booking();
    let layer = IdempotencyLayer::dangerous_gateway(MemoryIdempotency::new(), Secrets::ephemeral());
    let waits_once = {
        let gateway = gateway.clone();
        service_fn(move |call: Call<Sale>| {
            let gateway = gateway.clone();
            async move {
                let mut waited = false;
                poll_fn(|_| match std::mem::replace(&mut waited, true) {
                    true => Poll::Ready(()),
                    false => Poll::Pending,
                })
                .await;
                gateway.oneshot(call).await
            }
        })
    };
    let mut call = pin!(layer.layer(waits_once).oneshot(sale("k", 100)));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(call.as_mut().poll(&mut cx).is_pending());
    assert!(matches!(call.as_mut().poll(&mut cx), Poll::Ready(Ok(_))));
    assert_eq!(gateway.booked(), 1);
}
