//! Where each layer stands, and what a wrong order costs.

#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use axum::body::Body;
use axum::extract::State;
use axum::routing::post;
use axum::{Extension, Router};
use http::{Request, StatusCode};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tollgate::audit::AuditLog;
use tollgate::circuit_breaker::{Breaker, BreakerConfig, CircuitBreakerLayer, Phase};
use tollgate::http::problem::problem_of_error;
use tollgate::idempotency::IdempotencyLayer;
use tollgate::rate_limit::LocalLimit;
use tollgate::retry::{RetryConfig, RetryLayer};
use tollgate::timing::{Ending, TimingLayer};
use tollgate::{PaymentStack, Secrets};
use tollgate_core::gateway::{Call, Payment, Sale};
use tollgate_core::store::audit::{AuditStore, Receipt, chain};
use tollgate_core::store::memory::MemoryIdempotency;
use tollgate_core::store::quota::Quota;
use tollgate_core::{CallContext, Effect, Fault, PaymentError};
use tollgate_sqlite::Sqlite;
use tollgate_testkit::gateway::{Mishap, MockGateway};
use tollgate_testkit::samples::sale;
use tower::util::BoxCloneSyncService;
use tower::{ServiceBuilder, ServiceExt, service_fn};

fn quick() -> RetryConfig {
    RetryConfig::default().base(Duration::from_millis(1))
}

struct Shop {
    _folder: tempfile::TempDir,
    store: Sqlite,
    breaker: Breaker,
    gateway: MockGateway,
    client: BoxCloneSyncService<Call<Sale>, Payment, PaymentError>,
}

/// The headline stack, over a file.
fn shop() -> Shop {
    let folder = tempfile::tempdir().unwrap();
    let store = Sqlite::open(folder.path().join("payments.sqlite")).unwrap();
    let (secrets, gateway) = (Secrets::ephemeral(), MockGateway::new());
    let breaker = Breaker::new(BreakerConfig::default().consecutive_failures(1));
    let stack = PaymentStack::gateway()
        .idempotency(store.clone(), secrets.clone())
        .unwrap()
        .circuit_breaker(breaker.clone())
        .retry(quick())
        .rate_limit(LocalLimit::new(Quota::per_second(
            NonZeroU32::new(1_000).unwrap(),
        )))
        .timing()
        .audit(AuditLog::new(store.clone(), "payments", secrets))
        .service_for::<Call<Sale>, _>(gateway.clone());
    Shop {
        _folder: folder,
        store,
        breaker,
        gateway,
        client: BoxCloneSyncService::new(stack),
    }
}

#[tokio::test]
async fn replays_are_served_while_the_breaker_is_open() {
    let shop = shop();
    let first = shop.client.clone().oneshot(sale("a")).await.unwrap();
    shop.gateway.otherwise(Mishap::NotConnected);
    assert!(shop.client.clone().oneshot(sale("b")).await.is_err());
    assert_eq!(shop.breaker.snapshot().phase, Phase::Open);
    assert_eq!(shop.client.clone().oneshot(sale("a")).await.unwrap(), first);
    // and a key that met the open breaker is free to run later: nothing was sent
    let refused = shop.client.clone().oneshot(sale("c")).await.unwrap_err();
    assert_eq!(
        (refused.code(), refused.verdict().effect),
        (Some("circuit-open"), Effect::NotSent)
    );
}

#[tokio::test]
async fn every_attempt_leaves_its_intent_and_outcome_in_one_chain() {
    let shop = shop();
    shop.gateway.plan([Mishap::LostAfter, Mishap::FailsBefore]);
    shop.client.clone().oneshot(sale("a")).await.unwrap();
    shop.client.clone().oneshot(sale("a")).await.unwrap(); // a replay is no attempt
    let entries = shop.store.read("payments", 0, 100).await.unwrap();
    assert_eq!(
        chain::verify("payments", Receipt::START, &entries, None)
            .map(|_| entries.len())
            .ok(),
        Some(6)
    );
    let kinds: Vec<_> = entries
        .iter()
        .map(|entry| String::from_utf8_lossy(&entry.body).contains(r#""kind":"intent""#))
        .collect();
    assert_eq!(kinds, [true, false, true, false, true, false]);
    assert_eq!(shop.gateway.ledger().charges("a"), 1);
}

/// Seed I5: retry below idempotency booked three times in one call. A misordered stack, or one without a key, costs a retry, never a
/// second charge.
#[tokio::test]
async fn a_wrong_order_costs_a_retry_and_never_a_second_charge() {
    let guard = || IdempotencyLayer::dangerous_gateway(MemoryIdempotency::new(), Secrets::ephemeral());
    for mishap in [Mishap::LostAfter, Mishap::TimeoutAfter, Mishap::FailsAfter] {
        // no idempotency at all
        let gateway = MockGateway::new().without_dedup();
        gateway.plan([mishap.clone()]);
        let bare = ServiceBuilder::new()
            .layer(RetryLayer::gateway(quick()))
            .service(gateway.clone());
        let doubt = bare.oneshot(sale("a")).await.unwrap_err();
        assert_eq!(doubt.verdict().effect, Effect::Unknown);
        assert_eq!(
            (gateway.calls(), gateway.ledger().charges("a")),
            (1, 1),
            "{mishap:?}"
        );

        // retry outside idempotency
        let gateway = MockGateway::new().without_dedup();
        gateway.plan([mishap.clone()]);
        let inverted = ServiceBuilder::new()
            .layer(RetryLayer::gateway(quick()))
            .layer(CircuitBreakerLayer::gateway(Breaker::new(
                BreakerConfig::default(),
            )))
            .layer(guard())
            .service(gateway.clone());
        assert!(inverted.oneshot(sale("a")).await.is_err());
        assert_eq!(gateway.ledger().charges("a"), 1, "{mishap:?}");

        // the right order, and an adapter that does not send the key
        let gateway = MockGateway::new().without_key();
        gateway.plan([mishap.clone()]);
        let keyless = ServiceBuilder::new()
            .layer(guard())
            .layer(RetryLayer::gateway(quick()))
            .service(gateway.clone());
        assert!(keyless.oneshot(sale("a")).await.is_err());
        assert_eq!(
            (gateway.calls(), gateway.ledger().charges("a")),
            (1, 1),
            "{mishap:?}"
        );
    }
}

/// One claim, from the caller's header to the gateway's key: the inbound layer's claim travels in the context.
#[tokio::test]
async fn an_inbound_claim_reaches_the_gateway_as_one_key() {
    type Seen = Arc<Mutex<Vec<Option<String>>>>;
    type Outbound = BoxCloneSyncService<Call<Sale>, (), PaymentError>;

    async fn charge(
        State(outbound): State<Outbound>,
        Extension(context): Extension<CallContext>,
    ) -> axum::response::Response {
        let message = sale("order").message;
        match outbound.oneshot(Call { message, context }).await {
            Ok(()) => axum::response::Response::new(Body::from("charged")),
            Err(error) => problem_of_error(&error),
        }
    }

    let (seen, left) = (Seen::default(), Arc::new(Mutex::new(2)));
    let watched = Arc::clone(&seen);
    let outbound = ServiceBuilder::new()
        .layer(RetryLayer::gateway(quick()))
        .service(service_fn(move |call: Call<Sale>| {
            let key = call
                .context
                .key
                .as_ref()
                .map(|key| key.downstream_key("acme").as_str().to_owned());
            watched.lock().unwrap().push(key);
            let mut left = left.lock().unwrap();
            let fails = *left > 0;
            *left -= i32::from(fails);
            async move {
                if fails {
                    Err(PaymentError::timeout("no answer"))
                } else {
                    Ok(())
                }
            }
        }));
    let folder = tempfile::tempdir().unwrap();
    let store = Sqlite::open(folder.path().join("keys.sqlite")).unwrap();
    let app = Router::new()
        .route("/charges", post(charge))
        .layer(IdempotencyLayer::http(store, Secrets::ephemeral()).unwrap())
        .with_state(BoxCloneSyncService::new(outbound));
    assert_eq!(
        app.clone().oneshot(request()).await.unwrap().status(),
        StatusCode::OK
    );
    assert_eq!(
        app.oneshot(request()).await.unwrap().headers()["idempotent-replayed"],
        "true"
    );
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 3, "two doubts were repeated, the replay was not sent");
    assert!(seen[0].is_some() && seen.iter().all(|key| *key == seen[0]));
}

fn request() -> Request<Body> {
    Request::post("/charges")
        .header("idempotency-key", "k")
        .body(Body::from("{}"))
        .unwrap()
}

/// A handler that tells an unknown outcome leaves an unknown record: the repeat is not run.
#[tokio::test]
async fn an_unknown_outcome_inside_is_an_unknown_outcome_outside() {
    let folder = tempfile::tempdir().unwrap();
    let store = Sqlite::open(folder.path().join("keys.sqlite")).unwrap();
    let runs = Arc::new(Mutex::new(0));
    let counter = Arc::clone(&runs);
    let app: Router = Router::new()
        .route(
            "/charges",
            post(move || async move {
                *counter.lock().unwrap() += 1;
                problem_of_error::<Body>(&PaymentError::timeout("no answer"))
            }),
        )
        .layer(IdempotencyLayer::http(store, Secrets::ephemeral()).unwrap());
    assert_eq!(
        app.clone().oneshot(request()).await.unwrap().status(),
        StatusCode::GATEWAY_TIMEOUT
    );
    assert_eq!(
        app.oneshot(request()).await.unwrap().status(),
        StatusCode::CONFLICT
    );
    assert_eq!(*runs.lock().unwrap(), 1);
}

/// Seed I14, D4, D4b, D13: around an asynchronous call the breaker never opened, retry made one attempt, and the timer read nothing,
/// because the wrappers ended before the call began.
#[tokio::test(start_paused = true)]
async fn what_is_wrapped_is_the_whole_asynchronous_call() {
    let gateway = MockGateway::new().patience(Duration::from_secs(2));
    let breaker = Breaker::new(BreakerConfig::default().consecutive_failures(1));
    let timing = TimingLayer::gateway();
    let stack = PaymentStack::gateway()
        .dangerous_idempotency(MemoryIdempotency::new(), Secrets::ephemeral())
        .circuit_breaker(breaker.clone())
        .retry(quick())
        .observe(timing.clone())
        .service_for::<Call<Sale>, _>(gateway.clone());
    gateway.plan([Mishap::TimeoutAfter, Mishap::TimeoutBefore]);
    assert!(stack.clone().oneshot(sale("a")).await.is_ok());
    assert_eq!((gateway.calls(), gateway.ledger().charges("a")), (3, 1));
    let slow = timing
        .timings()
        .snapshot()
        .into_iter()
        .find(|latency| latency.ending == Ending::Unknown);
    assert!(slow.is_some_and(|latency| latency.count == 2 && latency.max >= Duration::from_secs(2)));

    gateway.plan([
        Mishap::TimeoutBefore,
        Mishap::TimeoutBefore,
        Mishap::TimeoutBefore,
    ]);
    assert!(stack.oneshot(sale("b")).await.is_err());
    assert_eq!(breaker.snapshot().phase, Phase::Open);
}
