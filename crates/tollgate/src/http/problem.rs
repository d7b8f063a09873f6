//! Problem documents (RFC 9457).
//!
//! A layer's no reaches an HTTP client as `application/problem+json`:
//!
//! ```json
//! {
//!   "type": "https://docs.rs/tollgate/latest/tollgate/guide/problems/index.html#key-reused",
//!   "title": "The Idempotency-Key was used for a different request",
//!   "status": 422,
//!   "code": "key-reused",
//!   "retry": "new-key"
//! }
//! ```
//!
//! `detail` is there when there is something to add, `retry_after_ms` when it is known how long to wait. `retry` says what
//! the client may do: `same-key`, `new-key`, `after-fix`, `authenticate`, `query-first` or `do-not-retry`.

use super::body::Rebuild;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;
use std::time::Duration;
use tollgate_core::{Advice, Rejection, RejectionKind};

/// Where each code is explained.
pub const PROBLEM_BASE: &str = "https://docs.rs/tollgate/latest/tollgate/guide/problems/index.html#";

/// The status that a rejection of this kind is answered with.
#[must_use]
pub fn status_of(kind: RejectionKind) -> StatusCode {
    use RejectionKind as Kind;
    match kind {
        Kind::KeyMissing
        | Kind::KeyInvalid
        | Kind::BodyUnreadable
        | Kind::SignatureMissing
        | Kind::SignatureMalformed
        | Kind::TimestampOutsideWindow => StatusCode::BAD_REQUEST,
        Kind::SignatureMismatch => StatusCode::UNAUTHORIZED,
        Kind::FraudBlocked | Kind::ChallengeRequired => StatusCode::PAYMENT_REQUIRED,
        Kind::ReviewRequired => StatusCode::FORBIDDEN,
        Kind::KeyInFlight
        | Kind::KeyExpired
        | Kind::OutcomeUnknown
        | Kind::NotReplayable
        | Kind::EventInProgress => StatusCode::CONFLICT,
        Kind::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::KeyReused => StatusCode::UNPROCESSABLE_ENTITY,
        Kind::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        Kind::ScopeMissing | Kind::Misconfigured => StatusCode::INTERNAL_SERVER_ERROR,
        Kind::CircuitOpen
        | Kind::Overloaded
        | Kind::DeadlineBeforeSend
        | Kind::StoreUnavailable
        | Kind::AuditUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::DeadlineAfterSend => StatusCode::GATEWAY_TIMEOUT,
        // a kind this match does not know yet is this process's own business
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn retry_word(advice: Advice) -> &'static str {
    match advice {
        Advice::SameKey => "same-key",
        Advice::NewAttempt => "new-key",
        Advice::CorrectInput => "after-fix",
        Advice::Authenticate => "authenticate",
        Advice::OtherInstrument => "new-key",
        Advice::QueryFirst => "query-first",
        Advice::Never => "do-not-retry",
    }
}

#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    code: &'a str,
    retry: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
}

/// The response that carries a rejection, and its verdict in the extensions for the layers further out.
///
/// ```
/// use bytes::Bytes;
/// use http_body_util::Full;
/// use std::time::Duration;
/// use tollgate::http::problem::problem;
/// use tollgate::{Rejection, RejectionKind};
///
/// let no = Rejection::new(RejectionKind::RateLimited).after(Duration::from_millis(1500));
/// let response: http::Response<Full<Bytes>> = problem(&no);
/// assert_eq!(response.status(), 429);
/// assert_eq!(response.headers()["retry-after"], "2"); // whole seconds, rounded up, never 0
/// assert_eq!(response.headers()["content-type"], "application/problem+json");
/// ```
pub fn problem<B: Rebuild>(rejection: &Rejection) -> Response<B> {
    let (kind, verdict) = (rejection.kind(), rejection.verdict());
    let status = status_of(kind);
    let document = Document {
        r#type: format!("{PROBLEM_BASE}{}", kind.code()),
        title: kind.title(),
        status: status.as_u16(),
        code: kind.code(),
        retry: retry_word(verdict.advice),
        detail: rejection.detail(),
        retry_after_ms: rejection
            .retry_after()
            .map(|d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)),
    };
    let body = serde_json::to_vec(&document).unwrap_or_default();
    let mut response = Response::new(B::from(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if let Some(wait) = rejection.retry_after() {
        headers.insert(RETRY_AFTER, whole_seconds(wait).into());
    }
    response.extensions_mut().insert(verdict);
    response
}

/// Rounded up, and never 0: a client told to wait 0 seconds hammers (tower-governor #62).
fn whole_seconds(wait: Duration) -> u64 {
    let up = u64::from(wait.subsec_nanos() > 0);
    wait.as_secs().saturating_add(up).max(1)
}
