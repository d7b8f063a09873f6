//! Handlers whose rows and answer commit together. Here without a database: what the layer makes of their answers.

use super::*;
use axum::body::Body;
use axum::extract::Extension;
use axum::http::{Request, Response, StatusCode, header};
use axum::routing::post;
use axum::{Router, response::IntoResponse};
use tollgate_core::store::idempotency::{Doubt, IdempotencyStore, Phase, Settlement};
use tollgate_core::{CallContext, KeyInForce};
use tower::ServiceExt;

fn request() -> Request<Body> {
    Request::post("/credits")
        .header("idempotency-key", "k")
        .body(Body::empty())
        .unwrap()
}

fn layer_over(store: MemoryIdempotency) -> IdempotencyLayer<MemoryIdempotency, GuardedHttp> {
    let config = IdempotencyConfig::default().arm(ArmPolicy::InTransaction);
    IdempotencyLayer::dangerous_http(store, Secrets::ephemeral()).config(config)
}

fn created() -> Response<Body> {
    let headers = [(header::LOCATION, "/credits/1"), (header::SET_COOKIE, "a=b")];
    (StatusCode::CREATED, headers, "credit 1").into_response()
}

/// What the handler settles is what the layer would: the layer's own settlement finds it there, and changes nothing.
#[tokio::test]
async fn the_handlers_settlement_is_the_layers() {
    let (store, _) = store();
    let shared = store.clone();
    let handler = move |Extension(call): Extension<CallContext>| {
        let store = shared.clone();
        async move {
            let claim = call.key.as_ref().and_then(KeyInForce::claim).unwrap();
            let before = store.get(claim.key).await.unwrap().unwrap();
            assert_eq!(before.phase, Phase::Prepared, "it was never armed");
            let (answer, settlement) = GuardedHttp::new().settlement_of(created()).await;
            store.settle(claim, &settlement).await.unwrap();
            // an owner that says the same twice is told so
            let again = store.settle(claim, &settlement).await.unwrap();
            assert_eq!(again, tollgate_core::store::idempotency::Settled::AlreadyApplied);
            answer
        }
    };
    let app: Router = Router::new()
        .route("/credits", post(handler))
        .layer(layer_over(store));
    let first = app.clone().oneshot(request()).await.unwrap();
    let again = app.oneshot(request()).await.unwrap();
    assert_eq!(first.status(), 201);
    assert_eq!(
        (again.status(), &again.headers()[header::LOCATION]),
        (first.status(), &first.headers()[header::LOCATION])
    );
    assert!(again.headers().contains_key("idempotent-replayed"));
}

#[tokio::test]
async fn each_answer_has_its_settlement() {
    let settlement =
        async |status: StatusCode| GuardedHttp::new().settlement_of(status.into_response()).await.1;
    for (status, executed) in [(StatusCode::CREATED, true), (StatusCode::PAYMENT_REQUIRED, false)] {
        let Settlement::Completed(completion) = settlement(status).await else {
            panic!("{status}")
        };
        assert_eq!(completion.executed, executed);
        assert_eq!(completion.envelope.unwrap().status, status.as_u16());
    }
    assert_eq!(settlement(StatusCode::BAD_REQUEST).await, Settlement::Released);
    let doubt = Settlement::Unknown(Doubt::AnswerInDoubt);
    assert_eq!(settlement(StatusCode::BAD_GATEWAY).await, doubt);
}

/// A 500 was rolled back and runs again; one of a handler that also asked a peer may have moved money, whatever its policy says.
#[tokio::test]
async fn a_failure_is_a_rollback_unless_a_peer_was_asked() {
    type Ask = fn(&KeyInForce);
    let asks: [(Ask, u16); 3] = [
        (|_| {}, 500),
        (
            |key| assert_eq!(key.downstream_key("acme-pay").as_str().len(), 32),
            409,
        ),
        (|key| key.ledger().record(tollgate_core::Effect::Unknown), 409),
    ];
    for (ask, second) in asks {
        let handler = move |Extension(call): Extension<CallContext>| async move {
            ask(&call.key.unwrap());
            StatusCode::INTERNAL_SERVER_ERROR
        };
        let app: Router = Router::new()
            .route("/credits", post(handler))
            .layer(layer_over(store().0));
        let first = app.clone().oneshot(request()).await.unwrap();
        assert_eq!(first.status(), 500);
        // said to be in doubt only where it is
        let in_doubt = first.headers().contains_key(IDEMPOTENCY_STATUS);
        assert_eq!(in_doubt, second == 409);
        assert_eq!(app.oneshot(request()).await.unwrap().status(), second);
    }
}
