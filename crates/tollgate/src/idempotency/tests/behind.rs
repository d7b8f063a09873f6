//! A guarded service behind a guarded service, with a wire between them: statuses, headers and bytes are all that comes through.

use super::*;
use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use axum::routing::post;
use std::time::Duration;
use tokio::sync::Notify;
use tower::ServiceExt;

fn request(key: &str) -> Request<Body> {
    Request::post("/charges")
        .header("idempotency-key", key)
        .body(Body::empty())
        .unwrap()
}

/// Passes each request on to `inner` and its answer back, as a proxy does that knows nothing of keys.
fn before(inner: Router) -> Router {
    let pass_on = move |request: Request<Body>| {
        let inner = inner.clone();
        async move {
            let (mut parts, body) = request.into_parts();
            parts.extensions.clear();
            let answer = inner.oneshot(Request::from_parts(parts, body)).await.unwrap();
            let (mut parts, body) = answer.into_parts();
            parts.extensions.clear();
            Response::from_parts(parts, body)
        }
    };
    guarded(Router::new().route("/charges", post(pass_on)), GuardedHttp::new())
}

fn guarded(router: Router, guarded: GuardedHttp) -> Router {
    router.layer(IdempotencyLayer::dangerous_new(
        store().0,
        Secrets::ephemeral(),
        guarded,
    ))
}

async fn send(app: &Router, key: &str) -> Response<Body> {
    app.clone().oneshot(request(key)).await.unwrap()
}

fn standing(answer: &Response<Body>) -> Option<&str> {
    Some(answer.headers().get(IDEMPOTENCY_STATUS)?.to_str().unwrap())
}

/// The repeat is told that nobody knows yet: not "no", and not the same "come back later" for ever.
async fn assert_in_doubt(outer: &Router, key: &str, first: &Response<Body>) {
    assert_eq!(
        (first.status(), standing(first)),
        (StatusCode::CONFLICT, Some("unknown"))
    );
    let again = send(outer, key).await;
    assert!(!again.headers().contains_key(IDEMPOTENT_REPLAYED), "{again:?}");
    assert_eq!(
        (again.status(), standing(&again)),
        (StatusCode::CONFLICT, Some("unknown"))
    );
}

/// Somebody else's request under the key runs there: its money may move yet. A stored 409 would be a final no.
#[tokio::test]
async fn running_there_is_unknown_here() {
    let (entered, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (signal, hold) = (Arc::clone(&entered), Arc::clone(&go));
    let slow = move || async move {
        signal.notify_one();
        hold.notified().await;
        StatusCode::CREATED
    };
    for profile in [GuardedHttp::ietf(), GuardedHttp::stripe()] {
        let inner = guarded(Router::new().route("/charges", post(slow.clone())), profile);
        let outer = before(inner.clone());
        let running = tokio::spawn(inner.oneshot(request("k")));
        entered.notified().await;
        let first = send(&outer, "k").await;
        go.notify_one();
        assert_eq!(running.await.unwrap().unwrap().status(), StatusCode::CREATED);
        assert_in_doubt(&outer, "k", &first).await;
    }
}

/// It was carried out there, and its answer was not kept.
#[tokio::test]
async fn carried_out_there_without_an_answer_is_unknown_here() {
    let charge = || async { (StatusCode::CREATED, "more than is kept") };
    for profile in [GuardedHttp::ietf(), GuardedHttp::stripe()] {
        let profile = profile.max_answer(3);
        let inner = guarded(Router::new().route("/charges", post(charge)), profile);
        let outer = before(inner.clone());
        assert_eq!(send(&inner, "k").await.status(), StatusCode::CREATED);
        let first = send(&outer, "k").await;
        assert_in_doubt(&outer, "k", &first).await;
    }
}

/// Its answer is forgotten there.
#[tokio::test]
async fn forgotten_there_is_unknown_here() {
    let (memory, clock) = store();
    let layer = IdempotencyLayer::dangerous_http(memory, Secrets::ephemeral());
    let inner = Router::new()
        .route("/charges", post(|| async { StatusCode::CREATED }))
        .layer(layer);
    let outer = before(inner.clone());
    assert_eq!(send(&inner, "k").await.status(), StatusCode::CREATED);
    clock.advance(Duration::from_secs(365 * 24 * 60 * 60));
    let first = send(&outer, "k").await;
    assert_in_doubt(&outer, "k", &first).await;
}

/// A final no there is a final no here.
#[tokio::test]
async fn a_no_there_is_a_no_here() {
    let inner = guarded(
        Router::new().route("/charges", post(|| async { StatusCode::CONFLICT })),
        GuardedHttp::new(),
    );
    let outer = before(inner);
    assert_eq!(send(&outer, "k").await.status(), StatusCode::CONFLICT);
    let again = send(&outer, "k").await;
    assert_eq!(again.headers()[IDEMPOTENT_REPLAYED], "true");
}
