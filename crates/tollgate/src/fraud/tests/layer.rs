//! What the layer sends, and what its callers are told.

use super::*;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use tollgate_core::gateway::{Call, GetPayment, Sale};
use tollgate_core::id::PaymentId;
use tollgate_core::{Effect, Fault, PaymentError};
use tollgate_testkit::samples::sale;
use tower::{Layer, ServiceExt, service_fn};

fn counting(
    calls: Arc<AtomicUsize>,
) -> impl tower::Service<Call<Sale>, Response = (), Error = PaymentError, Future: Send> + Clone {
    service_fn(move |_: Call<Sale>| {
        calls.fetch_add(1, Relaxed);
        async { Ok(()) }
    })
}

#[tokio::test]
async fn what_is_refused_is_not_sent() {
    for (decision, code) in [
        (Decision::Approve, None),
        (Decision::Review, Some("review-required")),
        (Decision::Challenge, Some("challenge-required")),
        (Decision::Block, Some("fraud-blocked")),
    ] {
        let calls = Arc::new(AtomicUsize::new(0));
        let engine = Engine::builder().rule(says("r", decision, 0)).build().unwrap();
        let answer = FraudLayer::sales(engine)
            .layer(counting(Arc::clone(&calls)))
            .oneshot(sale("order-1"))
            .await;
        assert_eq!(calls.load(Relaxed), usize::from(code.is_none()));
        match answer {
            Ok(()) => assert_eq!(code, None),
            Err(error) => {
                assert_eq!(error.code(), code);
                assert_eq!(error.verdict().effect, Effect::NotSent);
                assert!(
                    !error.to_string().contains("test"),
                    "the rule's reason stays here"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_review_can_let_authorizations_through() {
    let calls = Arc::new(AtomicUsize::new(0));
    let engine = Engine::builder()
        .rule(says("r", Decision::Review, 0))
        .build()
        .unwrap();
    let layer = FraudLayer::sales(engine).on_review(OnReview::LetThrough);
    assert!(
        layer
            .layer(counting(Arc::clone(&calls)))
            .oneshot(sale("order-1"))
            .await
            .is_ok()
    );
    assert_eq!(calls.load(Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn dropped_while_a_rule_waits_nothing_is_sent() {
    let calls = Arc::new(AtomicUsize::new(0));
    let engine = Engine::builder()
        .rule(Asks(|| Box::pin(std::future::pending())))
        .build()
        .unwrap();
    let call = FraudLayer::sales(engine)
        .layer(counting(Arc::clone(&calls)))
        .oneshot(sale("order-1"));
    assert!(tokio::time::timeout(Duration::from_secs(1), call).await.is_err());
    assert_eq!(calls.load(Relaxed), 0);
}

#[tokio::test]
async fn reads_pass_and_http_answers_with_a_problem() {
    let asked = Arc::new(Mutex::new(0));
    let counter = Arc::clone(&asked);
    let engine = Engine::builder()
        .rule(rule_fn("r", move |_: &Facts| {
            *counter.lock().unwrap() += 1;
            Some(Finding::new(Decision::Block, 100, "test"))
        }))
        .build()
        .unwrap();
    let read = FraudLayer::gateway(engine.clone(), |_: &Call<GetPayment>| Facts::default()).layer(
        service_fn(|_: Call<GetPayment>| async { Ok::<_, PaymentError>(()) }),
    );
    let get = Call::new(GetPayment {
        payment: PaymentId::new("pay_1").unwrap(),
    });
    assert!(read.oneshot(get).await.is_ok());
    assert_eq!(*asked.lock().unwrap(), 0);

    type Body = http_body_util::Full<bytes::Bytes>;
    let http = FraudLayer::http(engine, |request: &http::Request<Body>| {
        match request
            .headers()
            .get("x-email")
            .and_then(|value| value.to_str().ok())
        {
            Some(address) => Facts::default().email(address),
            None => Facts::default(),
        }
    })
    .layer(service_fn(|_: http::Request<Body>| async {
        Ok::<_, std::convert::Infallible>(http::Response::new(Body::default()))
    }));
    let post = http::Request::post("/charges").body(Body::default()).unwrap();
    let answer = http.oneshot(post).await.unwrap();
    assert_eq!(answer.status(), 402);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
}
