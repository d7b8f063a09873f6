//! Odd clients and odd handlers: whatever they send, nothing is run twice and nothing is told that did not happen.

use super::answers::{answering, app, ok, problem, request, send, standing, told};
use super::*;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderName, Method, Request, Response, StatusCode, header};
use axum::routing::post;
use http_body::{Body as _, Frame, SizeHint};
use std::pin::Pin;
use std::time::Duration;

/// A body of so many bytes, as it says: half of them come, and then it breaks off, or nothing comes any more.
#[derive(Clone, Copy)]
struct Promised {
    bytes: u64,
    breaks: bool,
}

impl http_body::Body for Promised {
    type Data = bytes::Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<bytes::Bytes>, std::io::Error>>> {
        match self.breaks {
            true => Poll::Ready(Some(Err(std::io::Error::other("the peer hung up")))),
            false => Poll::Pending,
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes)
    }
}

fn with_body(body: Promised) -> Request<Body> {
    let (parts, _) = request("k", "").into_parts();
    Request::from_parts(parts, Body::new(body))
}

/// A 101 from the record has no other end: the client would talk to nobody, and one that asked for no upgrade would be told of one.
#[tokio::test]
async fn an_upgrade_is_not_replayed() {
    let upgrade = || {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        response
    };
    let app = answering(GuardedHttp::ietf(), upgrade);
    assert_eq!(send(&app, request("k", "a")).await.status(), 101);
    let repeat = send(&app, request("k", "a")).await;
    assert_eq!(problem(repeat).await, told("not-replayable", 409, "do-not-retry"));
}

/// Somebody without a name could otherwise make the server hold as many bodies as it has connections.
#[tokio::test(start_paused = true)]
async fn nobody_knows_whose_key_and_no_body_is_read() {
    let unknown = GuardedHttp::ietf().max_body(10).scope(|_| None::<KeyScope>);
    let app = answering(unknown, ok);
    for bytes in [5, 5_000] {
        let never_comes = Promised { bytes, breaks: false };
        let refused = send(&app, with_body(never_comes));
        let refused = tokio::time::timeout(Duration::from_secs(1), refused)
            .await
            .unwrap();
        assert_eq!(problem(refused).await, told("scope-missing", 500, "do-not-retry"));
    }
}

/// A body that breaks off claims nothing, so the repeat that arrives whole is the first.
#[tokio::test]
async fn half_a_body_uses_no_key_up() {
    let app = answering(GuardedHttp::ietf(), ok);
    let half = Promised {
        bytes: 9,
        breaks: true,
    };
    let refused = send(&app, with_body(half)).await;
    assert_eq!(problem(refused).await, told("body-unreadable", 400, "after-fix"));
    let whole = send(&app, request("k", "a")).await;
    assert!(whole.status() == 200 && !whole.headers().contains_key(IDEMPOTENT_REPLAYED));
}

/// The limits are of bytes that are taken: exactly as many pass, one more does not, in whatever way they come.
#[tokio::test]
async fn limits_are_the_last_that_is_taken() {
    let echo = |body: bytes::Bytes| async move { body };
    let limits = GuardedHttp::ietf().max_body(8).max_answer(6);
    let app = app(limits, Router::new().route("/charges", post(echo)));
    for (length, first, repeat) in [(6, 200, 200), (7, 200, 409), (8, 200, 409), (9, 413, 413)] {
        let body = vec![b'x'; length];
        let key = format!("k-{length}");
        let in_one = Body::from(body.clone());
        let in_frames = Body::new(http_body_util::StreamBody::new(Frames(body)));
        for (body, status) in [(in_frames, first), (in_one, repeat)] {
            let (parts, _) = request(&key, "").into_parts();
            let answer = send(&app, Request::from_parts(parts, body)).await;
            assert_eq!(answer.status(), status, "{length} bytes");
        }
    }
}

/// Byte by byte, without a length.
struct Frames(Vec<u8>);

impl futures_core::Stream for Frames {
    type Item = Result<Frame<bytes::Bytes>, std::convert::Infallible>;
    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let byte = self.0.pop();
        Poll::Ready(byte.map(|byte| Ok(Frame::data(vec![byte].into()))))
    }
}

/// It happened, and its answer broke off on its way to the record: its own caller hears the status and where to look, repeats the latter.
#[tokio::test]
async fn an_answer_that_breaks_off_was_an_answer() {
    let breaks = || {
        let response = Response::builder()
            .status(201)
            .header(header::LOCATION, "/charges/7");
        let half = Promised {
            bytes: 9,
            breaks: true,
        };
        response
            .header(header::CONTENT_LENGTH, 9)
            .body(Body::new(half))
            .unwrap()
    };
    let app = answering(GuardedHttp::ietf(), breaks);
    let first = send(&app, request("k", "a")).await;
    assert_eq!(first.status(), 201);
    assert_eq!(first.headers()[header::LOCATION], "/charges/7");
    // a length that nothing follows would leave the client waiting for the rest
    let length = first.headers().get(header::CONTENT_LENGTH);
    assert!(length.is_none_or(|length| length == "0"), "{length:?}");
    assert_eq!(first.body().size_hint().exact(), Some(0));
    let repeat = send(&app, request("k", "a")).await;
    assert_eq!(repeat.headers()[header::LOCATION], "/charges/7");
    assert_eq!(problem(repeat).await, told("not-replayable", 409, "do-not-retry"));
}

/// A second line of a header that says what is asked, and a coding in capitals.
#[tokio::test]
async fn every_line_of_a_header_counts_and_no_capital_does() {
    let lines = |key: &str, name: &HeaderName, values: &[&'static str]| {
        let mut request = request(key, "a");
        for value in values {
            request.headers_mut().append(name, value.parse().unwrap());
        }
        request
    };
    let app = answering(GuardedHttp::ietf(), ok);
    for (case, (name, first, second, status)) in [
        (header::CONTENT_ENCODING, &["gzip"][..], &["gzip", "br"][..], 422),
        (header::CONTENT_ENCODING, &["gzip", "br"], &["gzip, br"], 200),
        (header::CONTENT_ENCODING, &["gzip"], &["GZip"], 200),
        (header::CONTENT_TYPE, &["a/b"], &["a/b", "c/d"], 422),
        (
            header::CONTENT_TYPE,
            &["a/b; q=1", "c/d"],
            &["a/b", "C/D; q=2"],
            200,
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let key = format!("k-{case}");
        send(&app, lines(&key, &name, first)).await;
        let repeat = send(&app, lines(&key, &name, second)).await;
        assert_eq!(repeat.status(), status, "{name}: {first:?} / {second:?}");
    }
}

/// Two spellings of a place may be two places: `/a%2Fb` is one segment to one router and two to another. Refused, never replayed.
#[tokio::test]
async fn another_spelling_of_the_target_is_another_request() {
    let router = Router::new().fallback(|| async { "ok" });
    let app = app(GuardedHttp::ietf(), router);
    for (case, (first, second, status)) in [
        ("/a%2Fb", "/a/b", 422),
        ("/a?x=1&y=2", "/a?y=2&x=1", 422),
        ("/a", "/a/", 422),
        ("/a", "/a?", 200),
        ("/a", "http://shop.example/a", 200), // as a proxy is asked (RFC 9112, section 3.2.2)
    ]
    .into_iter()
    .enumerate()
    {
        let to = |target: &str| {
            let mut request = request(&format!("k-{case}"), "a");
            *request.uri_mut() = target.parse().unwrap();
            request
        };
        assert_eq!(send(&app, to(first)).await.status(), 200);
        assert_eq!(
            send(&app, to(second)).await.status(),
            status,
            "{first} / {second}"
        );
    }
}

/// Cookies, dates, challenges and hop-by-hop headers belong to one exchange. What says what was done is told again: each line of it, and
/// bytes that are no ASCII.
#[tokio::test]
async fn a_replay_keeps_what_was_said_and_nothing_of_the_exchange() {
    let of_the_exchange = [
        (header::SET_COOKIE, "a=1"),
        (header::DATE, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (header::CONNECTION, "close"),
        (header::WWW_AUTHENTICATE, "Basic"),
        (header::SERVER, "shop"),
        (HeaderName::from_static("x-request-id"), "r-1"),
        (header::RETRY_AFTER, "7"),
    ];
    let dropped = of_the_exchange.clone();
    let handler = move || {
        let mut response = Response::builder().status(201);
        for (name, value) in &of_the_exchange {
            response = response.header(name, *value);
        }
        response
            .header(header::LINK, "<a>; rel=x")
            .header(header::LINK, "<b>; rel=y")
            .header(
                header::LOCATION,
                header::HeaderValue::from_bytes(b"/caf\xe9").unwrap(),
            )
            .body(Body::from("ok"))
            .unwrap()
    };
    let app = answering(GuardedHttp::ietf(), handler);
    let first = send(&app, request("k", "a")).await;
    let repeat = send(&app, request("k", "a")).await;
    for (name, _) in &dropped {
        assert!(first.headers().contains_key(name), "{name}");
        assert!(!repeat.headers().contains_key(name), "{name}");
    }
    assert_eq!(repeat.headers().get_all(header::LINK).iter().count(), 2);
    assert_eq!(repeat.headers()[header::LOCATION].as_bytes(), b"/caf\xe9");
    assert_eq!(repeat.headers()[IDEMPOTENT_REPLAYED], "true");
}

/// A HEAD that is guarded is claimed as anything else, and a method that is spelled otherwise is another one (RFC 9110, section 9.1).
#[tokio::test]
async fn methods_are_taken_as_they_are_spelled() {
    let guarded = GuardedHttp::ietf().guard_method(Method::HEAD);
    let app = answering(guarded, ok);
    let by = |method: &[u8]| {
        let mut request = request("k", "a");
        *request.method_mut() = Method::from_bytes(method).unwrap();
        request
    };
    assert_eq!(send(&app, by(b"HEAD")).await.status(), 200);
    let repeat = send(&app, by(b"HEAD")).await;
    assert_eq!(repeat.headers()[IDEMPOTENT_REPLAYED], "true");
    let mismatch = send(&app, by(b"POST")).await;
    assert_eq!(standing(&mismatch), Some("mismatch"));
    let unguarded = send(&app, by(b"post")).await;
    assert!(!unguarded.headers().contains_key(IDEMPOTENT_REPLAYED));
}
