//! What each layer, and the whole stack, adds to a call. `cargo bench -p tollgate --all-features`.
//!
//! Services are built once, outside the timed loop; the inner service answers at once, so what is measured is the layers. Beside them
//! `tower`'s own `Retry` with a policy that never repeats: what a layer costs at least.

#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use http::{Request, Response};
use http_body_util::Full;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::num::NonZeroU32;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tollgate::audit::{AuditLayer, AuditLog};
use tollgate::cache::{CacheKey, CacheLayer};
use tollgate::circuit_breaker::{Breaker, BreakerConfig, CircuitBreakerLayer};
use tollgate::deadline::DeadlineLayer;
use tollgate::fraud::{CardChecks, CountryMismatch, Engine, FraudLayer, HighAmount};
use tollgate::idempotency::IdempotencyLayer;
use tollgate::rate_limit::{LocalLimit, RateLimitLayer};
use tollgate::retry::{RetryConfig, RetryLayer};
use tollgate::timing::TimingLayer;
use tollgate_core::gateway::{Call, NewPayment, RefundReceipt, Sale};
use tollgate_core::id::{InstrumentToken, MerchantReference, PaymentId, RefundId};
use tollgate_core::store::idempotency::IdempotencyStore;
use tollgate_core::store::idempotency::seal::{Keyring, Sealed};
use tollgate_core::store::memory::{MemoryAudit, MemoryIdempotency};
use tollgate_core::store::quota::Quota;
use tollgate_core::{IdempotencyKey, PaymentError, Secret, Secrets, SystemClock};
use tower::{Layer, Service, ServiceBuilder, service_fn};

type Answer = Result<RefundReceipt, PaymentError>;

fn receipt() -> RefundReceipt {
    RefundReceipt {
        id: RefundId::new("re_1").unwrap(),
        payment: PaymentId::new("pay_1").unwrap(),
        amount: "1.00 EUR".parse().unwrap(),
    }
}

fn gateway()
-> impl Service<Call<Sale>, Response = RefundReceipt, Error = PaymentError, Future = Ready<Answer>> + Clone {
    let receipt = receipt();
    service_fn(move |_: Call<Sale>| ready(Ok(receipt.clone())))
}

fn payment() -> NewPayment {
    NewPayment::new(
        "19.99 EUR".parse().unwrap(),
        InstrumentToken::new("tok_visa").unwrap(),
        MerchantReference::new("order-1").unwrap(),
    )
}

fn limit() -> LocalLimit {
    LocalLimit::new(Quota::per_second(NonZeroU32::new(1_000_000_000).unwrap()))
}

/// Polls a call that answers at once.
fn call<Req, S: Service<Req>>(service: &mut S, req: Req) -> Result<S::Response, S::Error> {
    let mut task = Context::from_waker(Waker::noop());
    let _ = service.poll_ready(&mut task);
    let mut future = std::pin::pin!(service.call(req));
    match future.as_mut().poll(&mut task) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("it has to wait"),
    }
}

#[derive(Clone)]
struct NeverRepeat;

impl<Req: Clone, Res, E> tower::retry::Policy<Req, Res, E> for NeverRepeat {
    type Future = Ready<()>;

    fn retry(&mut self, _: &mut Req, _: &mut Result<Res, E>) -> Option<Ready<()>> {
        None
    }

    fn clone_request(&mut self, req: &Req) -> Option<Req> {
        Some(req.clone())
    }
}

fn each(c: &mut Criterion) {
    let mut group = c.benchmark_group("each");
    let sale = Call::new(Sale {
        key: IdempotencyKey::new("key").unwrap(),
        payment: payment(),
    });
    macro_rules! layers {
        ($($name:literal: $layer:expr;)+) => {$({
            let mut service = $layer.layer(gateway());
            group.bench_function($name, |b| b.iter(|| call(&mut service, sale.clone())));
        })+};
    }
    let mut bare = gateway();
    group.bench_function("no layer", |b| b.iter(|| call(&mut bare, sale.clone())));
    layers! {
        "tower retry, never repeats": tower::retry::RetryLayer::new(NeverRepeat);
        "circuit_breaker, closed": CircuitBreakerLayer::gateway(Breaker::new(BreakerConfig::default()));
        "retry, not needed": RetryLayer::gateway(RetryConfig::default());
        "rate_limit, not reached": RateLimitLayer::gateway(limit());
        "timing": TimingLayer::gateway();
        "deadline, far": DeadlineLayer::gateway(Duration::from_secs(10));
        "audit, in memory": AuditLayer::gateway(AuditLog::new(MemoryAudit::new(), "bench", Secrets::ephemeral()));
        "fraud, three rules": FraudLayer::sales(rules());
        "cache, passed by": CacheLayer::gateway(Duration::from_secs(10), |_: &Call<Sale>| Some(CacheKey::shared("x")));
        "idempotency, replay": IdempotencyLayer::dangerous_gateway(MemoryIdempotency::new(), Secrets::ephemeral());
    }
    group.finish();
}

fn rules() -> Engine {
    Engine::builder()
        .rule(CardChecks::default())
        .rule(CountryMismatch::default())
        .rule(HighAmount::new(["5000.00 EUR".parse().unwrap()]))
        .build()
        .unwrap()
}

fn stacks(c: &mut Criterion) {
    let mut group = c.benchmark_group("stack");
    let five = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::gateway(Breaker::new(
            BreakerConfig::default(),
        )))
        .layer(RetryLayer::gateway(RetryConfig::default()))
        .layer(RateLimitLayer::gateway(limit()))
        .layer(TimingLayer::gateway())
        .layer(DeadlineLayer::gateway(Duration::from_secs(10)));
    let sale = Call::new(Sale {
        key: IdempotencyKey::new("key").unwrap(),
        payment: payment(),
    });
    let mut service = five.clone().service(gateway());
    group.bench_function("five that store nothing", |b| {
        b.iter(|| call(&mut service, sale.clone()))
    });

    let secrets = Secrets::ephemeral();
    let store = MemoryIdempotency::with(100_000_000, SystemClock);
    let mut six = ServiceBuilder::new()
        .layer(IdempotencyLayer::dangerous_gateway(store, secrets))
        .layer(five)
        .service(gateway());
    let mut number = 0_u64;
    group.bench_function("with idempotency, new key", |b| {
        b.iter_batched(
            || {
                number += 1;
                Call::new(Sale {
                    key: IdempotencyKey::new(format!("key-{number}")).unwrap(),
                    payment: payment(),
                })
            },
            |sale| call(&mut six, sale),
            criterion::BatchSize::SmallInput,
        );
    });
    group.bench_function("with idempotency, replay", |b| {
        b.iter(|| call(&mut six, sale.clone()))
    });
    group.finish();
}

fn over_http(c: &mut Criterion) {
    type Body = Full<Bytes>;
    let mut group = c.benchmark_group("http");
    let handler =
        || service_fn(|_: Request<Body>| ready(Ok::<_, Infallible>(Response::new(Body::from("charged")))));
    let request = |key: &str| {
        Request::post("/charges")
            .header("idempotency-key", key)
            .body(Body::from(r#"{"amount":"19.99 EUR"}"#))
            .unwrap()
    };
    let mut bare = handler();
    group.bench_function("no layer", |b| {
        b.iter_batched(
            || request("k"),
            |req| call(&mut bare, req),
            criterion::BatchSize::SmallInput,
        )
    });
    let store = MemoryIdempotency::with(100_000_000, SystemClock);
    let mut guarded = IdempotencyLayer::dangerous_http(store, Secrets::ephemeral()).layer(handler());
    let mut number = 0_u64;
    group.bench_function("idempotency, new key", |b| {
        b.iter_batched(
            || {
                number += 1;
                request(&number.to_string())
            },
            |req| call(&mut guarded, req),
            criterion::BatchSize::SmallInput,
        );
    });
    group.bench_function("idempotency, replay", |b| {
        b.iter_batched(
            || request("1"),
            |req| call(&mut guarded, req),
            criterion::BatchSize::SmallInput,
        );
    });
    group.finish();
}

/// What sealing costs: a typed answer of about fifty bytes, and a body of 16 KiB.
fn sealed(c: &mut Criterion) {
    let rows = || MemoryIdempotency::with(100_000_000, SystemClock);
    let ring = || Keyring::new("bench", &Secret::new(vec![7; 32])).unwrap();
    new_and_replay(c, "plain", rows());
    new_and_replay(c, "sealed", Sealed::new(rows(), ring()));
}

fn new_and_replay(c: &mut Criterion, name: &str, store: impl IdempotencyStore + Clone) {
    let mut group = c.benchmark_group("seal");
    let mut typed = IdempotencyLayer::dangerous_gateway(store.clone(), Secrets::ephemeral()).layer(gateway());
    let mut number = 0_u64;
    let mut sale = move || {
        number += 1;
        Call::new(Sale {
            key: IdempotencyKey::new(format!("key-{number}")).unwrap(),
            payment: payment(),
        })
    };
    let first = sale();
    group.bench_function(format!("typed, new key, {name}"), |b| {
        b.iter_batched(
            &mut sale,
            |sale| call(&mut typed, sale),
            criterion::BatchSize::SmallInput,
        );
    });
    let _ = call(&mut typed, first.clone());
    group.bench_function(format!("typed, replay, {name}"), |b| {
        b.iter(|| call(&mut typed, first.clone()))
    });

    let handler = service_fn(|_: Request<Full<Bytes>>| {
        ready(Ok::<_, Infallible>(Response::new(Full::from(vec![
            b'x';
            16 << 10
        ]))))
    });
    let mut http = IdempotencyLayer::dangerous_http(store, Secrets::ephemeral()).layer(handler);
    let request = || {
        Request::post("/charges")
            .header("idempotency-key", "k")
            .body(Full::from("12.00"))
            .unwrap()
    };
    let _ = call(&mut http, request());
    group.bench_function(format!("16 KiB over HTTP, replay, {name}"), |b| {
        b.iter_batched(
            request,
            |req| call(&mut http, req),
            criterion::BatchSize::SmallInput,
        );
    });
    group.finish();
}

fn all(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let _inside = runtime.enter();
    each(c);
    stacks(c);
    over_http(c);
    sealed(c);
}

criterion_group!(benches, all);
criterion_main!(benches);
