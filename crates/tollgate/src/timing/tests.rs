use super::*;
use proptest::prelude::*;
use std::time::Duration;
use tollgate_core::gateway::{Call, GetPayment};
use tollgate_core::id::PaymentId;
use tollgate_core::{Fault, PaymentError, RejectionKind};
use tower::{Layer, ServiceExt, service_fn};

fn get() -> Call<GetPayment> {
    Call::new(GetPayment {
        payment: PaymentId::new("pay_1").unwrap(),
    })
}

async fn measured(answer: Result<(), PaymentError>) -> Latency {
    let layer = TimingLayer::gateway();
    let service = service_fn(move |_: Call<GetPayment>| {
        let answer = answer.clone();
        async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            answer
        }
    });
    let _ = layer.layer(service).oneshot(get()).await;
    layer.timings().snapshot().remove(0)
}

#[tokio::test(start_paused = true)]
async fn each_ending_is_told_apart() {
    for (answer, ending) in [
        (Ok(()), Ending::Executed),
        (Err(PaymentError::declined("no", "x")), Ending::Declined),
        (Err(PaymentError::timeout("10 s")), Ending::Unknown),
        (Err(PaymentError::not_connected("refused")), Ending::NotSent),
        (
            Err(PaymentError::refused(RejectionKind::CircuitOpen.into())),
            Ending::Rejected,
        ),
    ] {
        let latency = measured(answer).await;
        assert_eq!((latency.ending, latency.count), (ending, 1));
        let exact = Duration::from_millis(100);
        assert!(
            latency.p50 >= exact && latency.p50 <= exact + exact / 8,
            "{latency:?}"
        );
    }
}

/// tower-http's trace has no drop hook: a request cancelled by a disconnect reports nothing.
#[tokio::test(start_paused = true)]
async fn a_dropped_call_is_measured() {
    let layer = TimingLayer::gateway();
    let hung = layer.layer(service_fn(|_: Call<GetPayment>| {
        std::future::pending::<Result<(), PaymentError>>()
    }));
    assert!(
        tokio::time::timeout(Duration::from_secs(30), hung.oneshot(get()))
            .await
            .is_err()
    );
    let latency = &layer.timings().snapshot()[0];
    assert_eq!(latency.ending, Ending::Abandoned);
    assert!(latency.max >= Duration::from_secs(30));
}

struct Panics;

impl Recorder for Panics {
    fn record(&self, _: Measured<'_>) {
        panic!("the exporter is broken");
    }
}

/// seed Y1, D18: a metrics error turned a successful charge into an error.
#[tokio::test]
async fn a_broken_recorder_changes_no_answer() {
    let layer = TimingLayer::gateway().recorder(Panics);
    for _ in 0..3 {
        let service = layer.layer(service_fn(|_: Call<GetPayment>| async {
            Ok::<_, PaymentError>(7)
        }));
        assert_eq!(service.oneshot(get()).await, Ok(7));
    }
    assert_eq!(layer.timings().snapshot()[0].count, 3);
}

#[test]
fn names_without_bound_are_counted_together() {
    let timings = Timings::default();
    for n in 0..1000 {
        timings
            .of(&format!("op{n}"))
            .record(Ending::Executed, Duration::from_millis(1));
    }
    let snapshot = timings.snapshot();
    assert!(snapshot.len() <= 257);
    assert_eq!(snapshot.iter().map(|latency| latency.count).sum::<u64>(), 1000);
}

proptest! {
    #[test]
    fn a_quantile_is_at_most_an_eighth_too_high(nanos in 8u64..u64::MAX / 64) {
        let timings = Timings::default();
        timings.of("op").record(Ending::Executed, Duration::from_nanos(nanos));
        let p50 = timings.snapshot()[0].p50;
        prop_assert!(p50 > Duration::from_nanos(nanos));
        prop_assert!(p50 <= Duration::from_nanos(nanos + nanos / 8 + 1));
    }
}
