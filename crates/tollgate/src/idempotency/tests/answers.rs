//! The table on [`GuardedHttp`], row by row, as far as `over_http` does not have it.

use super::*;
use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode, header};
use axum::routing::{any, post};
use http_body_util::BodyExt;
use std::iter::repeat_n;
use std::time::Duration;
use tokio::sync::Notify;
use tollgate_core::store::idempotency::IdempotencyStore;
use tollgate_testkit::fault::{Faulty, When};
use tower::ServiceExt;

pub(super) fn app(guarded: GuardedHttp, router: Router) -> Router {
    router.layer(IdempotencyLayer::dangerous_new(
        store().0,
        Secrets::ephemeral(),
        guarded,
    ))
}

pub(super) fn answering(
    guarded: GuardedHttp,
    answer: impl Fn() -> Response<Body> + Clone + Send + Sync + 'static,
) -> Router {
    app(
        guarded,
        Router::new().route("/charges", any(move || std::future::ready(answer()))),
    )
}

pub(super) fn ok() -> Response<Body> {
    Response::new(Body::from("ok"))
}

pub(super) fn request(key: &str, body: &str) -> Request<Body> {
    Request::post("/charges")
        .header("idempotency-key", key)
        .body(Body::from(body.to_owned()))
        .unwrap()
}

pub(super) async fn send(app: &Router, request: Request<Body>) -> Response<Body> {
    app.clone().oneshot(request).await.unwrap()
}

/// A problem document's `code`, `status` and `retry`; its page is linked, and the status line says the same.
pub(super) async fn problem(response: Response<Body>) -> (String, u16, String) {
    let (parts, body) = response.into_parts();
    let document: serde_json::Value =
        serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap();
    let code = document["code"].as_str().unwrap().to_owned();
    let links: Vec<_> = parts.headers.get_all(header::LINK).iter().collect();
    let page = format!("#{code}>; rel=\"describedby\"");
    assert!(
        links.iter().any(|link| link.to_str().unwrap().ends_with(&page)),
        "{links:?}"
    );
    assert_eq!(document["status"], parts.status.as_u16());
    (
        code,
        parts.status.as_u16(),
        document["retry"].as_str().unwrap().to_owned(),
    )
}

pub(super) fn told(code: &str, status: u16, retry: &str) -> (String, u16, String) {
    (code.to_owned(), status, retry.to_owned())
}

pub(super) fn standing(response: &Response<Body>) -> Option<&str> {
    Some(response.headers().get(IDEMPOTENCY_STATUS)?.to_str().unwrap())
}

#[tokio::test]
async fn each_refusal_says_what_to_do_and_where_it_is_explained() {
    let app = answering(GuardedHttp::ietf().scope(|_| Some("acme")).max_body(3), ok);
    let bare = Request::post("/charges").body(Body::empty()).unwrap();
    let cases = [
        (bare, told("key-missing", 400, "after-fix")),
        (request("a,b", ""), told("key-invalid", 400, "after-fix")),
        (request("k", "four"), told("body-too-large", 413, "after-fix")),
    ];
    for (request, expected) in cases {
        assert_eq!(problem(send(&app, request).await).await, expected);
    }
    assert_eq!(send(&app, request("k", "a")).await.status(), 200);
    let mismatch = send(&app, request("k", "b")).await;
    assert_eq!(standing(&mismatch), Some("mismatch"));
    assert_eq!(problem(mismatch).await, told("key-reused", 422, "new-key"));

    let nobody = answering(GuardedHttp::ietf().scope(|_| None::<KeyScope>), ok);
    let refused = send(&nobody, request("k", "a")).await;
    assert_eq!(problem(refused).await, told("scope-missing", 500, "do-not-retry"));
}

#[tokio::test]
async fn a_running_call_is_told_as_such_and_can_be_waited_for() {
    for wait in [false, true] {
        let (entered, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (signal, hold) = (Arc::clone(&entered), Arc::clone(&go));
        let handler = move || async move {
            signal.notify_one();
            hold.notified().await;
            "once"
        };
        let mode = if wait {
            WhileInFlight::Wait(Duration::from_secs(5))
        } else {
            WhileInFlight::Refuse
        };
        let layer = IdempotencyLayer::dangerous_http(store().0, Secrets::ephemeral())
            .config(IdempotencyConfig::default().while_in_flight(mode));
        let app = Router::new().route("/charges", post(handler)).layer(layer);
        let first = tokio::spawn(app.clone().oneshot(request("k", "a")));
        entered.notified().await;
        let repeat = tokio::spawn(app.oneshot(request("k", "a")));
        if wait {
            tokio::task::yield_now().await;
            go.notify_one();
            let repeat = repeat.await.unwrap().unwrap();
            assert_eq!(repeat.headers()[IDEMPOTENT_REPLAYED], "true");
        } else {
            let repeat = repeat.await.unwrap().unwrap();
            go.notify_one();
            assert_eq!(standing(&repeat), Some("in-progress"));
            assert!(repeat.headers().contains_key(header::RETRY_AFTER));
            assert_eq!(problem(repeat).await, told("in-progress", 409, "same-key"));
        }
        assert_eq!(first.await.unwrap().unwrap().status(), 200);
    }
}

/// Repeats that wait hold connections: only so many do, the others hear at once what they would hear later.
#[tokio::test(start_paused = true)]
async fn only_so_many_wait() {
    let layer = IdempotencyLayer::dangerous_http(store().0, Secrets::ephemeral()).config(
        IdempotencyConfig::default()
            .while_in_flight(WhileInFlight::Wait(Duration::from_secs(5)))
            .max_waiting(2),
    );
    let slow = || async { tokio::time::sleep(Duration::from_secs(1)).await };
    let app = Router::new().route("/charges", post(slow)).layer(layer);
    for round in ["a", "b"] {
        // the places are free again in the second round
        let calls: Vec<_> = (0..6)
            .map(|_| tokio::spawn(app.clone().oneshot(request(round, "x"))))
            .collect();
        let mut statuses = Vec::new();
        for call in calls {
            statuses.push(call.await.unwrap().unwrap().status().as_u16());
        }
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 200, 200, 409, 409, 409]);
    }
}

/// Its own caller sees the handler's 5xx, or a 500 after a panic; both are marked, so that nobody makes up a new key.
#[tokio::test]
async fn an_unknown_outcome_is_marked_for_its_own_caller_and_for_repeats() {
    fn panics() -> Response<Body> {
        panic!("scripted")
    }
    fn gateway_timeout() -> Response<Body> {
        let mut response = Response::new(Body::from("the handler's own words"));
        *response.status_mut() = StatusCode::GATEWAY_TIMEOUT;
        response
    }
    let guarded = GuardedHttp::ietf().status_link(&"https://api.example/outcomes".parse().unwrap());
    let status_link = |response: &Response<Body>| {
        let links = response.headers().get_all(header::LINK);
        links
            .iter()
            .any(|link| link == "<https://api.example/outcomes>; rel=\"status\"")
    };

    let crashing = answering(guarded.clone(), panics);
    let first = send(&crashing, request("k", "a")).await;
    assert_eq!((standing(&first), status_link(&first)), (Some("unknown"), true));
    assert_eq!(problem(first).await, told("outcome-unknown", 500, "same-key"));

    let failing = answering(guarded, gateway_timeout);
    let first = send(&failing, request("k", "a")).await;
    assert_eq!((standing(&first), status_link(&first)), (Some("unknown"), true));
    assert_eq!(first.status(), 504);
    assert_eq!(
        first.into_body().collect().await.unwrap().to_bytes(),
        "the handler's own words"
    );

    let repeat = send(&failing, request("k", "a")).await;
    assert_eq!((standing(&repeat), status_link(&repeat)), (Some("unknown"), true));
    assert!(repeat.headers().contains_key(header::RETRY_AFTER));
    assert_eq!(problem(repeat).await, told("outcome-unknown", 409, "same-key"));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_is_told_before_and_after() {
    let failing = |step, times| {
        let store = Faulty::new(store().0).failing_at(step, repeat_n(When::BeforeInDoubt, times));
        let layer = IdempotencyLayer::dangerous_http(store, Secrets::ephemeral());
        Router::new()
            .route("/charges", post(|| async { "charged" }))
            .layer(layer)
    };
    let before = send(&failing("begin", usize::MAX), request("k", "a")).await;
    assert!(before.headers().contains_key(header::RETRY_AFTER));
    assert_eq!(problem(before).await, told("store-unavailable", 503, "same-key"));

    let after = send(&failing("settle", usize::MAX), request("k", "a")).await;
    assert_eq!(
        (after.status().as_u16(), standing(&after)),
        (200, Some("not-stored"))
    );
    let recovered = send(&failing("settle", 2), request("k", "a")).await;
    assert_eq!((recovered.status().as_u16(), standing(&recovered)), (200, None));
}

/// It happened; what is left of its answer is where to look.
#[tokio::test]
async fn an_answer_that_was_not_kept_leaves_its_location() {
    let large = || {
        let response = Response::builder()
            .status(201)
            .header(header::LOCATION, "/charges/7");
        response
            .header(header::SET_COOKIE, "s=1")
            .body(Body::from("too large"))
            .unwrap()
    };
    let app = answering(GuardedHttp::ietf().max_answer(5), large);
    let first = send(&app, request("k", "a")).await;
    assert_eq!(first.status(), 201);
    assert!(first.headers().contains_key(header::SET_COOKIE));
    let repeat = send(&app, request("k", "a")).await;
    assert_eq!(repeat.headers()[header::LOCATION], "/charges/7");
    assert!(!repeat.headers().contains_key(header::SET_COOKIE));
    assert!(!repeat.headers().contains_key(IDEMPOTENT_REPLAYED));
    assert_eq!(problem(repeat).await, told("not-replayable", 409, "do-not-retry"));
}

#[tokio::test]
async fn a_spent_key_is_a_409_or_a_410() {
    for (guarded, status) in [
        (GuardedHttp::ietf(), 409),
        (GuardedHttp::ietf().expired_is_gone(), 410),
    ] {
        let (store, clock) = store();
        let config = IdempotencyConfig::default().retention(Duration::from_secs(60));
        let layer =
            IdempotencyLayer::dangerous_new(store.clone(), Secrets::ephemeral(), guarded).config(config);
        let app = Router::new()
            .route("/charges", post(|| async { "ok" }))
            .layer(layer);
        assert_eq!(send(&app, request("k", "a")).await.status(), 200);
        clock.advance(Duration::from_secs(61));
        store.collect(Duration::from_secs(600), 10).await.unwrap();
        let repeat = send(&app, request("k", "a")).await;
        assert_eq!(problem(repeat).await, told("key-expired", status, "do-not-retry"));
    }
}
