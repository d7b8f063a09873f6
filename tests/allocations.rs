//! What a call through the layers allocates. Counts are exact, so they are asserted; times are measured by the benches.

#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use allocation_counter::measure;
use std::future::{Ready, ready};
use std::num::NonZeroU32;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tollgate::circuit_breaker::{Breaker, BreakerConfig, CircuitBreakerLayer};
use tollgate::deadline::DeadlineLayer;
use tollgate::fraud::{CardChecks, CountryMismatch, Engine, FraudLayer, HighAmount};
use tollgate::idempotency::IdempotencyLayer;
use tollgate::rate_limit::{LocalLimit, RateLimitLayer};
use tollgate::retry::{RetryConfig, RetryLayer};
use tollgate::timing::TimingLayer;
use tollgate_core::gateway::{Call, GetPayment, RefundReceipt, Sale};
use tollgate_core::id::{PaymentId, RefundId};
use tollgate_core::store::idempotency::seal::{Keyring, Sealed};
use tollgate_core::store::memory::MemoryIdempotency;
use tollgate_core::store::quota::Quota;
use tollgate_core::{PaymentError, Secret, Secrets};
use tollgate_testkit::samples;
use tower::{Layer, Service, ServiceBuilder, service_fn};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
}

/// Calls a service once; everything here answers at once.
fn call<Req, S>(service: &mut S, req: Req) -> Result<S::Response, S::Error>
where
    S: Service<Req>,
{
    let mut task = Context::from_waker(Waker::noop());
    assert!(matches!(service.poll_ready(&mut task), Poll::Ready(Ok(()))));
    let mut future = std::pin::pin!(service.call(req));
    match future.as_mut().poll(&mut task) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("it has to wait"),
    }
}

/// How many allocations one call costs, once warm: the least of ten, as a table of the store may happen to grow in one of them.
fn count<Req, S>(service: &mut S, mut req: impl FnMut() -> Req) -> u64
where
    S: Service<Req, Error: std::fmt::Debug>,
{
    let runtime = runtime();
    let _inside = runtime.enter();
    for _ in 0..100 {
        call(service, req()).unwrap();
    }
    let each = (0..10).map(|_| {
        let prepared = req();
        let spent = measure(|| {
            call(service, prepared).unwrap();
        });
        spent.count_total
    });
    each.min().unwrap()
}

fn get() -> Call<GetPayment> {
    Call::new(GetPayment {
        payment: PaymentId::new("pay_1").unwrap(),
    })
}

fn reads()
-> impl Service<Call<GetPayment>, Response = u32, Error = PaymentError, Future = Ready<Result<u32, PaymentError>>>
+ Clone {
    service_fn(|_: Call<GetPayment>| ready(Ok(1)))
}

fn limit() -> LocalLimit {
    LocalLimit::new(Quota::per_second(NonZeroU32::new(1_000_000).unwrap()))
}

/// Closed breaker, retry that need not repeat, a limit that is not reached, timing, a deadline that is far: no allocation at all.
#[test]
fn layers_that_store_nothing_allocate_nothing() {
    let breaker = Breaker::new(BreakerConfig::default());
    let each: [(&str, u64); 5] = [
        (
            "circuit_breaker",
            count(
                &mut CircuitBreakerLayer::gateway(breaker.clone()).layer(reads()),
                get,
            ),
        ),
        (
            "retry",
            count(
                &mut RetryLayer::gateway(RetryConfig::default()).layer(reads()),
                get,
            ),
        ),
        (
            "rate_limit",
            count(&mut RateLimitLayer::gateway(limit()).layer(reads()), get),
        ),
        ("timing", count(&mut TimingLayer::gateway().layer(reads()), get)),
        (
            "deadline",
            count(
                &mut DeadlineLayer::gateway(Duration::from_secs(9)).layer(reads()),
                get,
            ),
        ),
    ];
    assert_eq!(each.map(|(_, allocations)| allocations), [0; 5], "{each:?}");

    let mut stack = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::gateway(breaker))
        .layer(RetryLayer::gateway(RetryConfig::default()))
        .layer(RateLimitLayer::gateway(limit()))
        .layer(TimingLayer::gateway())
        .layer(DeadlineLayer::gateway(Duration::from_secs(9)))
        .service(reads());
    assert_eq!(count(&mut stack, get), 0);
}

fn sale(number: u64) -> Call<Sale> {
    samples::sale(&format!("order-{number}"))
}

#[test]
fn screening_without_a_finding_allocates_nothing() {
    let engine = Engine::builder()
        .rule(CardChecks::default())
        .rule(CountryMismatch::default())
        .rule(HighAmount::new(["5000.00 EUR".parse().unwrap()]))
        .build()
        .unwrap();
    let mut screened =
        FraudLayer::sales(engine).layer(service_fn(|_: Call<Sale>| ready(Ok::<_, PaymentError>(()))));
    assert_eq!(count(&mut screened, || sale(1)), 0);
}

/// A guarded call keeps a record, and that costs: a ceiling, so that nobody raises it unnoticed.
#[test]
fn a_guarded_call_stays_under_its_ceiling() {
    let store = MemoryIdempotency::with(1_000_000, tollgate_core::SystemClock);
    let receipt = RefundReceipt {
        id: RefundId::new("re_1").unwrap(),
        payment: PaymentId::new("pay_1").unwrap(),
        amount: "1.00 EUR".parse().unwrap(),
    };
    let mut guarded = IdempotencyLayer::dangerous_gateway(store, Secrets::ephemeral()).layer(service_fn(
        move |_: Call<Sale>| ready(Ok::<_, PaymentError>(receipt.clone())),
    ));
    let mut number = 0;
    let fresh = count(&mut guarded, || {
        number += 1;
        sale(number)
    });
    let replay = count(&mut guarded, || sale(1));
    println!("allocations: {fresh} for a new key, {replay} for a replay");
    assert!(fresh <= 3, "{fresh} for a new key");
    assert!(replay <= 2, "{replay} for a replay");
}

/// A call that has to wait is listed for whoever shuts down, in a slot that is used again, and it runs where its caller polls it: no
/// allocation for a list or a task. However often it waits, there is one, for the renewal of its lease.
#[test]
fn a_guarded_call_that_waits_costs_one_allocation_more() {
    let waiting = |pauses: u32| {
        let store = MemoryIdempotency::with(1_000_000, tollgate_core::SystemClock);
        let mut guarded = IdempotencyLayer::dangerous_gateway(store, Secrets::ephemeral()).layer(service_fn(
            move |_: Call<Sale>| {
                let mut left = pauses;
                std::future::poll_fn(move |_| match left {
                    0 => Poll::Ready(Ok::<_, PaymentError>(())),
                    _ => {
                        left -= 1;
                        Poll::Pending
                    }
                })
            },
        ));
        let runtime = runtime();
        let _inside = runtime.enter();
        let mut once = |req: Call<Sale>| {
            let mut task = Context::from_waker(Waker::noop());
            let mut future = std::pin::pin!(guarded.call(req));
            while future.as_mut().poll(&mut task).is_pending() {}
        };
        // warm: every shard has had its slot
        for number in 0..500 {
            once(sale(number));
        }
        let each = (1_000..1_010).map(|number| {
            let prepared = sale(number);
            measure(|| once(prepared)).count_total
        });
        each.min().unwrap()
    };
    let (at_once, after_a_while) = (waiting(0), waiting(3));
    assert_eq!(after_a_while, at_once + 1);
}

/// Sealing costs its buffers: one for the form and one for its shared copy; and one for the content, its head and its body on the way out.
#[test]
fn sealing_costs_its_buffers() {
    let store = MemoryIdempotency::with(1_000_000, tollgate_core::SystemClock);
    let ring = Keyring::new("2026-11", &Secret::new(vec![7; 32])).unwrap();
    let mut guarded = IdempotencyLayer::dangerous_gateway(Sealed::new(store, ring), Secrets::ephemeral())
        .layer(service_fn(|_: Call<Sale>| ready(Ok::<_, PaymentError>(()))));
    let mut number = 0;
    let fresh = count(&mut guarded, || {
        number += 1;
        sale(number)
    });
    let replay = count(&mut guarded, || sale(1));
    println!("allocations, sealed: {fresh} for a new key, {replay} for a replay");
    assert!(fresh <= 5, "{fresh} for a new key");
    assert!(replay <= 3, "{replay} for a replay");
}
