//! What can be chosen on [`GuardedHttp`]: its words, which keys and methods it takes, which headers count, and whose a key is.

use super::answers::{answering, app, ok, problem, request, send, told};
use super::*;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderName, Method, Request, header};
use axum::routing::post;

#[tokio::test]
async fn words_can_be_chosen() {
    let replayed = HeaderName::from_static("idempotency-replayed");
    let app = answering(
        GuardedHttp::ietf()
            .replay_header(replayed.clone())
            .mismatch_is_conflict(),
        ok,
    );
    send(&app, request("k", "a")).await;
    let replay = send(&app, request("k", "a")).await;
    assert_eq!(replay.headers()[replayed], "true");
    assert!(!replay.headers().contains_key(IDEMPOTENT_REPLAYED));
    assert_eq!(
        problem(send(&app, request("k", "b")).await).await,
        told("key-reused", 409, "new-key")
    );
}

/// A replay has the headers that are kept, and no others.
#[tokio::test]
async fn kept_headers_can_be_added_to() {
    let (plain, kept) = (
        HeaderName::from_static("x-plain"),
        HeaderName::from_static("x-kept"),
    );
    let names = [plain.clone(), kept.clone()];
    let app = answering(GuardedHttp::ietf().keep_header(kept.clone()), move || {
        let mut answer = ok();
        for name in &names {
            answer.headers_mut().insert(name, "1".parse().unwrap());
        }
        answer
            .headers_mut()
            .insert(header::ETAG, "\"v1\"".parse().unwrap());
        answer
    });
    send(&app, request("k", "a")).await;
    let replay = send(&app, request("k", "a")).await;
    let has = |name: &HeaderName| replay.headers().contains_key(name);
    assert_eq!((has(&kept), has(&plain), has(&header::ETAG)), (true, false, true));
}

#[tokio::test]
async fn keys_can_be_held_to_more() {
    let app = answering(GuardedHttp::ietf().quoted_keys_only().min_key_length(8), ok);
    // the length is the key's, not the header's: escapes do not count
    let short = r#""\"\"\"\"""#;
    for (key, status) in [("\"12345678\"", 200), ("12345678", 400), (short, 400)] {
        assert_eq!(send(&app, request(key, "")).await.status(), status, "{key}");
    }
}

#[tokio::test]
async fn only_the_named_methods_are_guarded() {
    let with = |method: Method| {
        Request::builder()
            .method(method)
            .uri("/charges")
            .body(Body::empty())
            .unwrap()
    };
    let app = answering(GuardedHttp::ietf().guard_method(Method::DELETE), ok);
    for (method, status) in [
        (Method::POST, 400),
        (Method::PATCH, 400),
        (Method::DELETE, 400),
        (Method::PUT, 200),
        (Method::GET, 200),
        (Method::HEAD, 200),
        (Method::OPTIONS, 200),
    ] {
        assert_eq!(
            send(&app, with(method.clone())).await.status(),
            status,
            "{method}"
        );
    }
}

/// axum-idempotent ignored `accept`, and replayed one client's representation to another; multipart boundaries and charsets differ
/// between honest repeats.
#[tokio::test]
async fn headers_count_when_they_say_what_is_asked() {
    let app = answering(GuardedHttp::ietf().fingerprint_header(header::ACCEPT), ok);
    let with = |key: &str, name: &str, value: &str| {
        let mut request = request(key, "a");
        request
            .headers_mut()
            .insert(HeaderName::try_from(name).unwrap(), value.parse().unwrap());
        request
    };
    for (case, (name, first, second, status)) in [
        (
            "content-type",
            "application/json",
            "Application/JSON; charset=utf-8",
            200,
        ),
        (
            "content-type",
            "multipart/form-data; boundary=a",
            "multipart/form-data; boundary=b",
            200,
        ),
        ("content-type", "application/json", "text/json", 422),
        ("content-encoding", "gzip", "br", 422),
        ("accept", "application/json", "text/csv", 422),
        ("accept", "application/json", "", 422), // empty is not absent, and not the same either
        ("authorization", "Bearer one", "Bearer two", 200),
        ("user-agent", "a/1", "a/2", 200),
        (
            "date",
            "Sat, 21 Nov 2026 08:00:00 GMT",
            "Sat, 21 Nov 2026 08:00:01 GMT",
            200,
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let key = format!("k-{case}");
        send(&app, with(&key, name, first)).await;
        let second_answer = send(&app, with(&key, name, second)).await;
        assert_eq!(second_answer.status(), status, "{name}: {first} / {second}");
    }
}

/// Equal keys of two tenants, or of one tenant's test and live environments, are different keys; a fresh bearer token changes nothing
/// (cratestack and rustlavel scope by it, and the retry after a refresh runs again).
#[tokio::test]
async fn scopes_are_tenant_and_environment_and_never_the_token() {
    let count = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&count);
    let handler = move || std::future::ready(counter.fetch_add(1, SeqCst).to_string());
    let guarded = GuardedHttp::ietf().scope(|parts| {
        let name = |name| Some(parts.headers.get(name)?.to_str().ok()?.to_owned());
        Some((name("x-tenant")?, name("x-environment")?))
    });
    let app = app(guarded, Router::new().route("/charges", post(handler)));
    let mut runs = 0;
    for (tenant, environment) in [
        ("acme", "live"),
        ("acme", "test"),
        ("ac", "melive"),
        ("bolt", "live"),
    ] {
        runs += 1;
        for token in ["Bearer one", "Bearer two"] {
            let mut request = request("k", "a");
            for (name, value) in [
                ("x-tenant", tenant),
                ("x-environment", environment),
                ("authorization", token),
            ] {
                request.headers_mut().insert(name, value.parse().unwrap());
            }
            assert_eq!(send(&app, request).await.status(), 200);
        }
        assert_eq!(count.load(SeqCst), runs, "{tenant} {environment}");
    }
}
