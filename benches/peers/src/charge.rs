//! The request, the answer and the handler of every HTTP row, and the loop that all of them run in. Making the request is part of both
//! sides of each pair; the response's body is not read.

use crate::harness::{Batch, start, stop};
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, header::COOKIE};
use axum::response::Response;
use std::convert::Infallible;
use std::future::poll_fn;
use tokio::runtime::Runtime;
use tower::{Service, service_fn};

pub(crate) const CHARGE: &str = r#"{"amount":1099,"currency":"EUR","source":"tok_1PqYd2eZvKYlo2C0","description":"order 7731","capture":true,"metadata":{"order":"ord_7731","customer":"cus_9s6XKzkNRiz8i3"},"statement_descriptor":"TOLLGATE TEST","receipt_email":"ada@example.com"}"#;
pub(crate) const CHARGED: &str = r#"{"id":"ch_3PqYd2eZvKYlo2C01","object":"charge","amount":1099,"currency":"EUR","status":"succeeded","captured":true,"order":"ord_7731"}"#;

pub(crate) async fn charge(_: Request) -> Result<Response, Infallible> {
    Ok(Response::new(Body::from(CHARGED)))
}

pub(crate) fn request(key: &str, cookie: Option<&HeaderValue>) -> Request {
    let mut request = Request::post("/charges")
        .header("idempotency-key", key)
        .body(Body::from(CHARGE))
        .expect("a request");
    if let Some(cookie) = cookie {
        request.headers_mut().insert(COOKIE, cookie.clone());
    }
    request
}

/// Numbers keys without ever repeating one.
pub(crate) fn fresh(prefix: &'static str) -> impl FnMut() -> String + 'static {
    let mut last = 0_u64;
    move || {
        last += 1;
        format!("{prefix}-{last:016x}")
    }
}

/// What every response of a batch must be, or the batch panics.
#[derive(Clone, Copy)]
pub(crate) struct Expected {
    pub(crate) status: u16,
    /// Whether it must carry this header, or must not.
    pub(crate) mark: (&'static str, bool),
}

impl Expected {
    fn check(self, response: &Response) {
        assert_eq!(response.status().as_u16(), self.status);
        assert_eq!(response.headers().contains_key(self.mark.0), self.mark.1);
    }
}

/// Batches of requests inside `block_on`, the cooperative budget off.
pub(crate) fn batch<S>(
    runtime: &'static Runtime,
    mut service: S,
    expected: Expected,
    mut next: impl FnMut() -> Request + 'static,
) -> Batch
where
    S: Service<Request, Response = Response, Error = Infallible> + 'static,
{
    Box::new(move |calls| {
        runtime.block_on(tokio::task::unconstrained(async {
            let started = start();
            for _ in 0..calls {
                poll_fn(|cx| service.poll_ready(cx)).await.unwrap();
                expected.check(&service.call(next()).await.unwrap());
            }
            stop(started)
        }))
    })
}

/// The baseline: the same requests to the bare handler.
pub(crate) fn bare(runtime: &'static Runtime, next: impl FnMut() -> Request + 'static) -> Batch {
    let expected = Expected {
        status: 200,
        mark: ("idempotency-status", false),
    };
    batch(runtime, service_fn(charge), expected, next)
}

/// Requests that each have a key of their own.
pub(crate) fn fresh_requests() -> impl FnMut() -> Request + 'static {
    let mut key = fresh("new");
    move || request(&key(), None)
}

/// Requests that all have one key.
pub(crate) fn same_request() -> Request {
    request("same", None)
}
