//! What is left when the time to drain is over, by name.

use super::*;
use std::time::Duration;
use tokio::time::sleep;
use tollgate_core::store::idempotency::{IdempotencyStore, Phase, RecordKey};
use tollgate_testkit::fault::{Fault, Faulty, When};
use tower::{Layer, ServiceExt};

/// A call that takes this long.
fn slow(
    takes: Duration,
) -> impl Service<Call<Sale>, Response = (), Error = PaymentError, Future: Send> + Clone + Send {
    tower::service_fn(move |_: Call<Sale>| async move {
        sleep(takes).await;
        Ok(())
    })
}

fn record(secrets: &Secrets, key: &str) -> RecordKey {
    secrets.record_key("", key)
}

#[tokio::test(start_paused = true)]
async fn drain_names_what_is_left_and_since_when() {
    let secrets = Secrets::ephemeral();
    let layer = IdempotencyLayer::dangerous_gateway(store().0, secrets.clone());
    let mut calls = Vec::new();
    for (key, takes) in [("first", 60), ("second", 40), ("quick", 5)] {
        let service = layer.layer(slow(Duration::from_secs(takes)));
        calls.push(tokio::spawn(service.oneshot(sale(key, 100))));
        sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(layer.running(), 3);
    let still = layer.drain(Duration::from_secs(10)).await.unwrap_err();
    let seconds: Vec<_> = still
        .left
        .iter()
        .map(|call| (call.record, call.doing, call.running_for.as_secs()))
        .collect();
    assert_eq!(
        (still.running, seconds),
        (
            2,
            vec![
                (record(&secrets, "first"), Doing::Calling, 13),
                (record(&secrets, "second"), Doing::Calling, 12)
            ]
        )
    );
    let told = still.to_string();
    assert!(
        told.starts_with("2 guarded calls were still running")
            && told.contains(&format!("{} calling for 13", record(&secrets, "first")))
            && !told.contains("first"),
        "the record is named, never the client's key: {told}"
    );
    for call in calls {
        assert!(call.await.unwrap().is_ok(), "to be told of is not to be cut off");
    }
    assert_eq!(layer.drain(Duration::ZERO).await, Ok(()));
    assert_eq!(layer.running_calls(), []);
}

/// A caller that went away changes nothing: its call is named all the same.
#[tokio::test(start_paused = true)]
async fn a_call_nobody_waits_for_is_named() {
    let layer = layer(store().0);
    let call = layer.layer(slow(Duration::from_secs(60))).oneshot(sale("k", 100));
    assert!(tokio::time::timeout(Duration::from_secs(1), call).await.is_err());
    let left = layer.drain(Duration::from_secs(1)).await.unwrap_err().left;
    assert_eq!(left[0].doing, Doing::Calling);
    assert_eq!(layer.drain(Duration::from_secs(60)).await, Ok(()));
}

/// The answer was told, and the store is away: what is left is a write.
#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_yet_written_is_named() {
    let store = Faulty::new(store().0);
    let layer = IdempotencyLayer::dangerous_gateway(store.clone(), Secrets::ephemeral());
    let outage = store.clone();
    let service = layer.layer(tower::service_fn(move |_: Call<Sale>| {
        outage.outage(When::Before);
        std::future::ready(Ok::<_, PaymentError>(()))
    }));
    assert!(service.oneshot(sale("k", 100)).await.is_ok());
    let left = layer.drain(Duration::from_secs(1)).await.unwrap_err().left;
    assert_eq!(
        left.iter().map(|call| call.doing).collect::<Vec<_>>(),
        [Doing::Settling]
    );
    store.outage(None);
    assert_eq!(layer.drain(Duration::from_secs(60)).await, Ok(()));
}

/// Nobody waits for a begin any more: it is awaited in a task, and given back.
#[tokio::test(start_paused = true)]
async fn a_claim_that_is_given_back_is_named() {
    let (store, _) = store();
    let late = Faulty::new(store.clone()).failing_at("begin", [Fault::queue(Duration::from_secs(10))]);
    let layer = IdempotencyLayer::dangerous_gateway(late, Secrets::ephemeral());
    let call = layer.layer(Gateway::booking()).oneshot(sale("k", 100));
    assert!(tokio::time::timeout(Duration::from_secs(1), call).await.is_err());
    let left = layer.drain(Duration::from_secs(1)).await.unwrap_err().left;
    assert_eq!(left[0].doing, Doing::GivingBack);
    assert_eq!(layer.drain(Duration::from_secs(60)).await, Ok(()));
    let record = store.get(left[0].record).await.unwrap().unwrap();
    assert_eq!(record.phase, Phase::Released);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_calls_at_a_time_and_none_is_left_over() {
    let layer = layer(store().0);
    for round in 0..3 {
        let calls: Vec<_> = (0..1000)
            .map(|number| {
                let takes = Duration::from_millis(10 + (number * 7) % 100);
                let call = layer
                    .layer(slow(takes))
                    .oneshot(sale(&format!("{round}-{number}"), 100));
                tokio::spawn(call)
            })
            .collect();
        sleep(Duration::from_millis(1)).await;
        let mut named: Vec<_> = layer.running_calls().iter().map(|call| call.record).collect();
        named.sort_unstable();
        named.dedup();
        assert_eq!(named.len(), 1000);
        for (number, call) in calls.into_iter().enumerate() {
            if number % 3 == 0 {
                call.abort(); // its caller goes away: the call goes on
            } else {
                assert!(call.await.unwrap().is_ok());
            }
        }
        assert_eq!(layer.drain(Duration::from_secs(60)).await, Ok(()));
        assert_eq!(layer.running_calls(), []);
    }
}

/// Two who drain at once (a signal handler, and the end of `main`): one that gives up early, or is dropped, does not keep the other
/// from its end.
#[tokio::test(start_paused = true)]
async fn two_may_drain_at_once() {
    for is_dropped in [false, true] {
        let layer = layer(store().0);
        let call = tokio::spawn(layer.layer(slow(Duration::from_secs(2))).oneshot(sale("k", 100)));
        sleep(Duration::from_millis(1)).await;
        let began = tokio::time::Instant::now();
        let early = async {
            let draining = layer.drain(Duration::from_secs(if is_dropped { 60 } else { 1 }));
            let gives_up = tokio::time::timeout(Duration::from_secs(1), draining).await;
            assert!(!matches!(gives_up, Ok(Ok(()))));
        };
        let ((), patient) = tokio::join!(early, layer.drain(Duration::from_secs(60)));
        assert_eq!(patient, Ok(()), "dropped: {is_dropped}");
        assert!(
            began.elapsed() < Duration::from_secs(3),
            "as soon as none was left"
        );
        assert!(call.await.unwrap().is_ok());
    }
}
