use super::*;
use axum::body::Body;
use axum::extract::Extension;
use axum::http::{Request, Response, StatusCode, header};
use axum::routing::{get, post};
use axum::{Json, Router};
use http_body_util::BodyExt;
use std::time::Duration;
use tollgate_core::{CallContext, Verdict};
use tower::ServiceExt;

fn guarded(router: Router) -> Router {
    router.layer(IdempotencyLayer::dangerous_http(store().0, Secrets::ephemeral()))
}

fn request(key: &str, body: &str) -> Request<Body> {
    Request::post("/charges")
        .header("idempotency-key", key)
        .body(Body::from(body.to_owned()))
        .unwrap()
}

async fn text(response: Response<Body>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

fn counting(
    answer: impl Fn(u32) -> Response<Body> + Clone + Send + Sync + 'static,
) -> (Router, Arc<AtomicU32>) {
    let count = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&count);
    let handler = move || {
        let number = counter.fetch_add(1, SeqCst);
        let answer = answer(number);
        async move { answer }
    };
    (guarded(Router::new().route("/charges", post(handler))), count)
}

#[tokio::test]
async fn status_headers_and_body_are_replayed() {
    let (app, count) = counting(|number| {
        Response::builder()
            .status(StatusCode::CREATED)
            .header(header::LOCATION, "/charges/1")
            .header(header::LINK, "</a>; rel=next")
            .header(header::LINK, "</b>; rel=prev")
            .header(header::SET_COOKIE, "session=secret")
            .header(header::ETAG, "\"v1\"")
            .body(Body::from(format!("charge {number}")))
            .unwrap()
    });
    let first = app.clone().oneshot(request("k", "a")).await.unwrap();
    let again = app.oneshot(request("\"k\"", "a")).await.unwrap();
    assert_eq!(first.status(), again.status());
    assert_eq!(again.headers()[header::LOCATION], "/charges/1"); // fullstackhero #240: Location was dropped
    assert_eq!(again.headers().get_all(header::LINK).iter().count(), 2);
    assert_eq!(again.headers()["idempotent-replayed"], "true");
    assert!(!again.headers().contains_key(header::SET_COOKIE));
    assert_eq!(text(first).await, text(again).await);
    assert_eq!(count.load(SeqCst), 1);
}

/// seed I8: a missing or empty key turned the protection off, three executions.
#[tokio::test]
async fn each_no_has_its_own_problem() {
    let (app, count) = counting(|_| Response::new(Body::from("ok")));
    let code = |response: Response<Body>| async {
        let status = response.status();
        assert_eq!(
            response.headers()[header::CONTENT_TYPE],
            "application/problem+json"
        );
        let document: serde_json::Value = serde_json::from_str(&text(response).await).unwrap();
        (status.as_u16(), document["code"].as_str().unwrap().to_owned())
    };
    let bare = Request::post("/charges").body(Body::empty()).unwrap();
    assert_eq!(
        code(app.clone().oneshot(bare).await.unwrap()).await,
        (400, "key-missing".into())
    );
    assert_eq!(
        code(app.clone().oneshot(request("a,b", "")).await.unwrap()).await,
        (400, "key-invalid".into())
    );
    let large = request("k", &"x".repeat((1 << 20) + 1));
    assert_eq!(
        code(app.clone().oneshot(large).await.unwrap()).await,
        (413, "body-too-large".into())
    );
    assert_eq!(count.load(SeqCst), 0);
    app.clone().oneshot(request("k", "1.00")).await.unwrap();
    assert_eq!(
        code(app.oneshot(request("k", "9.00")).await.unwrap()).await,
        (422, "key-reused".into())
    );
    assert_eq!(count.load(SeqCst), 1);
}

/// The query belongs to the request, and so does the content type (axum-idempotent left the query out).
#[tokio::test]
async fn what_says_what_is_asked_belongs_to_the_fingerprint() {
    let (app, _) = counting(|_| Response::new(Body::from("ok")));
    app.clone().oneshot(request("k", "a")).await.unwrap();
    let other = |uri: &str, kind: Option<&str>| {
        let mut request = Request::post(uri).header("idempotency-key", "k");
        if let Some(kind) = kind {
            request = request.header(header::CONTENT_TYPE, kind);
        }
        app.clone().oneshot(request.body(Body::from("a")).unwrap())
    };
    assert_eq!(other("/charges?dry_run=true", None).await.unwrap().status(), 422);
    assert_eq!(other("/charges", Some("text/plain")).await.unwrap().status(), 422);
}

/// hono-idempotency #178: a booking that lost a race answered 409, the record was deleted, the retry ran again.
#[tokio::test]
async fn a_durable_no_is_an_outcome() {
    for status in [402, 404, 409, 410, 422] {
        let (app, count) =
            counting(move |_| Response::builder().status(status).body(Body::from("no")).unwrap());
        for _ in 0..2 {
            assert_eq!(
                app.clone().oneshot(request("k", "a")).await.unwrap().status(),
                status
            );
        }
        assert_eq!(count.load(SeqCst), 1, "{status}");
    }
}

#[tokio::test]
async fn a_5xx_is_unknown_and_a_400_may_be_mended() {
    let (app, count) = counting(|_| Response::builder().status(502).body(Body::empty()).unwrap());
    assert_eq!(
        app.clone().oneshot(request("k", "a")).await.unwrap().status(),
        502
    );
    let again = app.oneshot(request("k", "a")).await.unwrap();
    assert_eq!(again.status(), 409);
    assert!(again.headers().contains_key(header::RETRY_AFTER));
    assert_eq!(count.load(SeqCst), 1);

    let (app, count) = counting(|_| Response::builder().status(429).body(Body::empty()).unwrap());
    for _ in 0..2 {
        assert_eq!(
            app.clone().oneshot(request("k", "a")).await.unwrap().status(),
            429
        );
    }
    assert_eq!(count.load(SeqCst), 2);
}

#[tokio::test]
async fn a_handler_that_knows_better_says_so() {
    let (app, count) = counting(|_| {
        let mut response = Response::builder()
            .status(500)
            .body(Body::from("rolled back"))
            .unwrap();
        let nothing = tollgate_core::RejectionKind::StoreUnavailable.verdict();
        response.extensions_mut().insert::<Verdict>(nothing);
        response
    });
    for _ in 0..2 {
        assert_eq!(
            app.clone().oneshot(request("k", "a")).await.unwrap().status(),
            500
        );
    }
    assert_eq!(count.load(SeqCst), 2);
}

/// Releasing the key because the answer is too large or streams is a double charge (cratestack, IdempotencyGuard, ullun).
#[tokio::test]
async fn an_answer_that_cannot_be_stored_is_not_run_again() {
    let (app, count) = counting(|number| {
        Response::new(if number == 0 {
            Body::from(vec![b'x'; (1 << 20) + 1])
        } else {
            Body::empty()
        })
    });
    let first = app.clone().oneshot(request("k", "a")).await.unwrap();
    assert_eq!(text(first).await.len(), (1 << 20) + 1);
    assert_eq!(app.oneshot(request("k", "a")).await.unwrap().status(), 409);
    assert_eq!(count.load(SeqCst), 1);

    let streaming = || async { Body::new(http_body_util::StreamBody::new(Ticks(1))) };
    let app = guarded(Router::new().route("/charges", post(streaming)));
    assert_eq!(
        app.clone().oneshot(request("k", "a")).await.unwrap().status(),
        200
    );
    assert_eq!(app.oneshot(request("k", "a")).await.unwrap().status(), 409);
}

#[tokio::test]
async fn reads_pass_and_the_handler_finds_the_claim() {
    let handler = |Extension(context): Extension<CallContext>| async move {
        Json(context.key.map(|key| key.downstream_key("acme").to_string()))
    };
    let app = guarded(
        Router::new()
            .route("/charges", post(handler))
            .route("/read", get(|| async { "read" })),
    );
    let answer = text(app.clone().oneshot(request("k", "a")).await.unwrap()).await;
    assert_eq!(serde_json::from_str::<String>(&answer).unwrap().len(), 32);
    let read = Request::get("/read").body(Body::empty()).unwrap();
    assert_eq!(text(app.oneshot(read).await.unwrap()).await, "read");
}

#[tokio::test]
async fn tenants_do_not_share_keys_and_no_tenant_is_refused() {
    let count = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&count);
    let handler = move || {
        counter.fetch_add(1, SeqCst);
        async { "ok" }
    };
    let guarded = GuardedHttp::new()
        .scope(|parts| Some(parts.headers.get("x-tenant")?.to_str().ok()?.to_owned()))
        .max_body(10);
    let layer = IdempotencyLayer::dangerous_new(store().0, Secrets::ephemeral(), guarded);
    let app: Router = Router::new().route("/charges", post(handler)).layer(layer);
    for tenant in ["a", "b"] {
        let mut request = request("k", "x");
        request.headers_mut().insert("x-tenant", tenant.parse().unwrap());
        assert_eq!(app.clone().oneshot(request).await.unwrap().status(), 200);
    }
    assert_eq!(count.load(SeqCst), 2);
    assert_eq!(app.oneshot(request("k", "x")).await.unwrap().status(), 500);
}

/// The layer is applied once per route; the store must still be one (axum calls `layer` per route).
#[tokio::test]
async fn routes_share_one_store() {
    let layer = IdempotencyLayer::dangerous_http(store().0, Secrets::ephemeral());
    let app: Router = Router::new()
        .route("/charges", post(|| async { "ok" }).layer(layer.clone()))
        .route("/refunds", post(|| async { "ok" }).layer(layer));
    app.clone().oneshot(request("k", "a")).await.unwrap();
    let mut other = request("k", "a");
    *other.uri_mut() = "/refunds".parse().unwrap();
    assert_eq!(app.oneshot(other).await.unwrap().status(), 422); // one key, another endpoint
}

#[tokio::test(start_paused = true)]
async fn a_slow_upload_holds_no_claim() {
    let (app, count) = counting(|_| Response::new(Body::from("ok")));
    let never = Body::new(http_body_util::StreamBody::new(Ticks(0)));
    let slow = Request::post("/charges")
        .header("idempotency-key", "k")
        .body(never)
        .unwrap();
    let cut = tokio::time::timeout(Duration::from_secs(1), app.clone().oneshot(slow)).await;
    assert!(cut.is_err());
    assert_eq!(app.oneshot(request("k", "a")).await.unwrap().status(), 200);
    assert_eq!(count.load(SeqCst), 1);
}

/// A stream of so many frames and then an end; of none at all when it is 0.
struct Ticks(u32);

impl futures_core::Stream for Ticks {
    type Item = Result<http_body::Frame<bytes::Bytes>, std::convert::Infallible>;
    fn poll_next(mut self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.0 {
            0 => Poll::Pending,
            1 => {
                self.0 = u32::MAX;
                Poll::Ready(Some(Ok(http_body::Frame::data(bytes::Bytes::from_static(
                    b"tick",
                )))))
            }
            _ => Poll::Ready(None),
        }
    }
}

/// A handler hands its caller's key on to a guarded gateway call in the same store: two records, not one that is "reused".
#[tokio::test]
async fn a_callers_key_and_a_typed_calls_key_are_two() {
    let (store, secrets) = (store().0, Secrets::ephemeral());
    let gateway = Gateway::booking();
    let payments = tower::ServiceBuilder::new()
        .layer(IdempotencyLayer::dangerous_gateway(
            store.clone(),
            secrets.clone(),
        ))
        .service(gateway.clone());
    let handler = move |headers: axum::http::HeaderMap| {
        let key = key_of(&headers).unwrap().unwrap();
        let paid = payments.clone().oneshot(sale(key.as_str(), 100));
        async move { paid.await.unwrap().id.to_string() }
    };
    let app = Router::new()
        .route("/charges", post(handler))
        .layer(IdempotencyLayer::dangerous_http(store, secrets));
    let first = app.clone().oneshot(request("k", "a")).await.unwrap();
    let again = app.oneshot(request("k", "a")).await.unwrap();
    assert_eq!(
        (text(first).await, text(again).await),
        ("pay_0".into(), "pay_0".into())
    );
    assert_eq!(gateway.booked(), 1);
}

#[tokio::test]
async fn a_tenants_open_outcomes_have_a_cap() {
    let failing = || async { StatusCode::INTERNAL_SERVER_ERROR };
    let guarded =
        GuardedHttp::new().scope(|parts| Some(parts.headers.get("x-tenant")?.to_str().ok()?.to_owned()));
    let layer = IdempotencyLayer::dangerous_new(store().0, Secrets::ephemeral(), guarded)
        .config(IdempotencyConfig::default().max_unresolved(Some(1)));
    let app: Router = Router::new().route("/charges", post(failing)).layer(layer);
    let ask = |tenant: &str, key| {
        let mut request = request(key, "x");
        request.headers_mut().insert("x-tenant", tenant.parse().unwrap());
        app.clone().oneshot(request)
    };
    assert_eq!(ask("a", "k1").await.unwrap().status(), 500);
    let refused = ask("a", "k2").await.unwrap();
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(refused.headers().contains_key(header::RETRY_AFTER));
    let document: serde_json::Value = serde_json::from_str(&text(refused).await).unwrap();
    assert_eq!(document["code"], "too-many-unresolved");
    assert_eq!(document["retry"], "same-key");
    assert_eq!(ask("a", "k1").await.unwrap().status(), 409, "a repeat");
    assert_eq!(
        ask("b", "k2").await.unwrap().status(),
        500,
        "another tenant's own failure"
    );
}
