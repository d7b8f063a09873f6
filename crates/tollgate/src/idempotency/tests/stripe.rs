//! The `stripe` profile: the same decisions in other words.

use super::*;
use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode, header};
use axum::routing::post;
use http_body_util::BodyExt;
use tokio::sync::Notify;
use tollgate_core::{RejectionKind, Verdict};
use tower::ServiceExt;

fn guarded(router: Router) -> Router {
    let layer = IdempotencyLayer::dangerous_new(store().0, Secrets::ephemeral(), GuardedHttp::stripe());
    router.layer(layer)
}

fn charge(key: &str, amount: &str) -> Request<Body> {
    Request::post("/v1/charges")
        .header("idempotency-key", key)
        .body(Body::from(format!("amount={amount}")))
        .unwrap()
}

/// Status, `error.type`, `error.code` and `Stripe-Should-Retry`.
async fn refusal(response: Response<Body>) -> (u16, String, String, Option<String>) {
    let headers = response.headers().clone();
    assert_eq!(headers[header::CONTENT_TYPE], "application/json");
    assert!(
        response.extensions().get::<Verdict>().is_some(),
        "for the layers further out"
    );
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let document: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let text = |name: &str| document["error"][name].as_str().unwrap().to_owned();
    assert!(!text("message").is_empty());
    let retry = headers
        .get("stripe-should-retry")
        .map(|value| value.to_str().unwrap().to_owned());
    (status, text("type"), text("code"), retry)
}

fn said(status: u16, kind: &str, code: &str) -> (u16, String, String, Option<String>) {
    (status, kind.into(), code.into(), None)
}

#[tokio::test]
async fn another_request_under_a_key_is_stripes_idempotency_error() {
    let app = guarded(Router::new().route("/v1/charges", post(|| async { "ch_1" })));
    app.clone().oneshot(charge("k", "100")).await.unwrap();
    let mismatch = app.clone().oneshot(charge("k", "900")).await.unwrap();
    let (status, kind, code, retry) = refusal(mismatch).await;
    assert_eq!((status, &*kind, &*code), (400, "idempotency_error", "key-reused"));
    assert_eq!(retry.as_deref(), Some("false"));
    let replay = app.oneshot(charge("k", "100")).await.unwrap();
    assert_eq!(replay.status(), 200);
    assert_eq!(replay.headers()["idempotent-replayed"], "true");
}

#[tokio::test]
async fn a_running_call_is_a_409_that_may_be_repeated() {
    let (entered, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (signal, wait) = (Arc::clone(&entered), Arc::clone(&go));
    let handler = move || async move {
        signal.notify_one();
        wait.notified().await;
        "ch_1"
    };
    let app = guarded(Router::new().route("/v1/charges", post(handler)));
    let first = tokio::spawn(app.clone().oneshot(charge("k", "100")));
    entered.notified().await;
    let copy = app.oneshot(charge("k", "100")).await.unwrap();
    assert!(copy.headers().contains_key(header::RETRY_AFTER));
    let expected = said(409, "invalid_request_error", "idempotency_key_in_use");
    assert_eq!(refusal(copy).await, expected);
    go.notify_one();
    assert_eq!(first.await.unwrap().unwrap().status(), 200);
}

/// Stripe's libraries repeat a 409 on their own; nothing is gained by that while nobody knows the outcome.
#[tokio::test]
async fn an_unknown_outcome_tells_the_library_not_to_retry() {
    let app = guarded(Router::new().route("/v1/charges", post(|| async { StatusCode::BAD_GATEWAY })));
    assert_eq!(app.clone().oneshot(charge("k", "1")).await.unwrap().status(), 502);
    let (status, kind, code, retry) = refusal(app.oneshot(charge("k", "1")).await.unwrap()).await;
    assert_eq!((status, &*kind, &*code), (409, "api_error", "outcome-unknown"));
    assert_eq!(retry.as_deref(), Some("false"));
}

#[tokio::test]
async fn a_missing_key_is_refused_unless_switched_off() {
    let keyless = || Request::post("/v1/charges").body(Body::empty()).unwrap();
    let routes = || Router::new().route("/v1/charges", post(|| async { "ch_1" }));
    let missing = guarded(routes()).oneshot(keyless()).await.unwrap();
    assert_eq!(
        refusal(missing).await,
        said(400, "invalid_request_error", "key-missing")
    );

    let optional = GuardedHttp::stripe().dangerous_key_optional();
    let app = routes().layer(IdempotencyLayer::dangerous_new(
        store().0,
        Secrets::ephemeral(),
        optional,
    ));
    assert_eq!(app.oneshot(keyless()).await.unwrap().status(), 200);
}

/// Every kind keeps the status of the draft's profile but one.
#[test]
fn only_the_mismatch_has_a_status_of_its_own() {
    use tollgate_core::protocol::Answers;
    for &kind in RejectionKind::ALL {
        let Ok::<Response<Body>, std::convert::Infallible>(told) = GuardedHttp::stripe().refuse(kind.into());
        let draft = crate::http::problem::status_of(kind);
        match kind {
            RejectionKind::KeyReused => assert_eq!((draft.as_u16(), told.status().as_u16()), (422, 400)),
            _ => assert_eq!(told.status(), draft, "{kind:?}"),
        }
    }
}
