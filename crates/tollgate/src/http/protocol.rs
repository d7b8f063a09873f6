//! What a layer may ask of HTTP requests and responses.

use super::body::Rebuild;
use super::problem::problem;
use http::header::{HeaderName, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use std::sync::Arc;
use std::time::Duration;
use tollgate_core::context::CallContext;
use tollgate_core::protocol::{Answers, Fault, Operation, Repeats, Requests};
use tollgate_core::{Advice, Blame, Effect, Rejection, Verdict};

/// A server's HTTP service: a layer's own no becomes a problem document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Http;

/// A client's HTTP service: a layer's own no becomes the client's error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HttpClient;

/// The route's template, as `"POST /charges/{id}"`, put into a request's extensions by whoever knows it. Layers use it as the
/// operation's name; without it they use the method, because a path may hold identifiers and labels must be bounded.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RouteName(pub Arc<str>);

/// What a status says about the money, when nobody who knows better has said it.
///
/// | status | effect | why |
/// |---|---|---|
/// | 1xx, 2xx, 3xx | executed | |
/// | 429 | turned away | the limit's answer, before any work |
/// | 400, 401, 403, 405, 406, 411, 413 to 415, 417, 421, 425, 426, 428, 431 | turned away | refused before the work began |
/// | 408, 499 | unknown | what time-out layers and proxies say of a call they cut off: it may have happened (`tower_http::timeout`) |
/// | other 4xx (402, 404, 409, 410, 422, …) | declined | a durable no: stored, and replayed as it is |
/// | 5xx and anything else | unknown | it may have happened |
///
/// One thing a status alone does not say: a 409 of a service that is guarded itself, and was reached over a wire. Where its
/// `Idempotency-Status` says `in-progress`, `unknown`, `expired` or `not-replayable`, the protocols here take it for unknown: the money
/// may have moved there, or moves yet. Stored as a no it would be told for ever.
#[must_use]
pub fn verdict_of_status(status: StatusCode) -> Verdict {
    match status.as_u16() {
        100..=399 => Verdict::EXECUTED,
        429 => Verdict::new(Effect::TurnedAway, Advice::SameKey, Blame::Caller),
        400 | 401 | 403 | 405 | 406 | 411 | 413..=415 | 417 | 421 | 425 | 426 | 428 | 431 => {
            Verdict::new(Effect::TurnedAway, Advice::CorrectInput, Blame::Caller)
        }
        408 | 499 => Verdict::UNKNOWN,
        400..=499 => Verdict::DECLINED,
        _ => Verdict::UNKNOWN,
    }
}

fn verdict_of_response<B>(response: &Response<B>) -> Verdict {
    // a handler, or one of our own layers further in, may have said it outright
    if let Some(said) = response.extensions().get::<Verdict>() {
        return *said;
    }
    let verdict = match response.headers().get(IDEMPOTENCY_STATUS) {
        Some(standing) if leaves_doubt(standing) => Verdict::UNKNOWN,
        _ => verdict_of_status(response.status()),
    };
    match retry_after(response.headers()) {
        Some(wait) => verdict.after(wait),
        None => verdict,
    }
}

/// How an idempotency layer says how a key stands: ours, or another one's.
pub(crate) const IDEMPOTENCY_STATUS: HeaderName = HeaderName::from_static("idempotency-status");

/// Whether the deed may have been done there all the same.
fn leaves_doubt(standing: &HeaderValue) -> bool {
    matches!(
        standing.as_bytes(),
        b"in-progress" | b"unknown" | b"expired" | b"not-replayable"
    )
}

/// `Retry-After` in seconds (RFC 9110, section 10.2.3). The form with a date needs the peer's clock to be right; it is
/// left alone.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()
        .map(Duration::from_secs)
}

impl<B: Rebuild, E> Answers<Response<B>, E> for Http {
    #[inline]
    fn judge(&self, answer: &Result<Response<B>, E>) -> Verdict {
        match answer {
            Ok(response) => verdict_of_response(response),
            Err(_) => Verdict::UNKNOWN,
        }
    }

    fn refuse(&self, rejection: Rejection) -> Result<Response<B>, E> {
        Ok(problem(&rejection))
    }
}

impl<B, E: Fault> Answers<Response<B>, E> for HttpClient {
    #[inline]
    fn judge(&self, answer: &Result<Response<B>, E>) -> Verdict {
        match answer {
            // the peer's word for "a request with this key is still running": no answer to the attempt before this one
            Ok(response) if response.status() == StatusCode::CONFLICT => Verdict {
                effect: Effect::Unknown,
                ..verdict_of_response(response)
            },
            Ok(response) => verdict_of_response(response),
            Err(error) => error.verdict(),
        }
    }

    fn refuse(&self, rejection: Rejection) -> Result<Response<B>, E> {
        Err(E::refused(rejection))
    }
}

/// Method names as labels: a bounded set, whatever a client sends.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "OTHER",
    }
}

macro_rules! requests {
    ($($protocol:ty)+) => {$(
        impl<B> Requests<Request<B>> for $protocol {
            fn operation<'r>(&self, req: &'r Request<B>) -> Operation<'r> {
                let route = req.extensions().get::<RouteName>().map(|route| &*route.0);
                let name = route.unwrap_or_else(|| method_name(req.method()));
                Operation { name, moves_money: !req.method().is_safe() }
            }

            fn context<'r>(&self, req: &'r Request<B>) -> Option<&'r CallContext> {
                req.extensions().get()
            }

            fn context_mut<'r>(&self, req: &'r mut Request<B>) -> &'r mut CallContext {
                req.extensions_mut().get_or_insert_default::<CallContext>()
            }
        }

        impl<B: Clone> Repeats<Request<B>> for $protocol {
            fn repeat(&self, req: &Request<B>) -> Option<Request<B>> {
                Some(req.clone())
            }
        }
    )+};
}

requests! { Http HttpClient }
