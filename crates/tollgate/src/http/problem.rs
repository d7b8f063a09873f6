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
//! A handler whose payment call failed answers with [`problem_of_error`]. `detail` is there when there is something to add, `retry_after_ms` when it is known how long to wait. `retry` says what
//! the client may do: `same-key`, `new-key`, `after-fix`, `authenticate`, `query-first` or `do-not-retry`.

use super::body::Rebuild;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;
use std::time::Duration;
use tollgate_core::{
    Advice, Effect, Fault, PaymentError, PaymentErrorKind, Rejection, RejectionKind, Verdict,
};

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
        Kind::RateLimited | Kind::TooManyUnresolved => StatusCode::TOO_MANY_REQUESTS,
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

/// The status that a failed payment call is answered with. What a layer refused keeps the [rejection's](status_of).
///
/// | the call | status |
/// |---|---|
/// | declined, fraud, authentication required | 402 |
/// | already done, key used for another request, outcome not known yet | 409 |
/// | the gateway could not make sense of it | 422 |
/// | no such payment | 404 |
/// | certainly nothing happened, try again | 503 |
/// | it may have happened | 504 |
#[must_use]
pub fn status_of_error(error: &PaymentError) -> StatusCode {
    use PaymentErrorKind as Kind;
    if let Some(rejection) = error.rejection() {
        return status_of(rejection.kind());
    }
    match error.kind() {
        Kind::Declined | Kind::InsufficientFunds | Kind::FraudBlocked | Kind::AuthenticationRequired => {
            StatusCode::PAYMENT_REQUIRED
        }
        Kind::AlreadyDone
        | Kind::IdempotencyConflict
        | Kind::IdempotencyInFlight
        | Kind::UnknownOutcome
        | Kind::CompensationFailed => StatusCode::CONFLICT,
        Kind::InvalidRequest => StatusCode::UNPROCESSABLE_ENTITY,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Unauthorized | Kind::IntegrityMismatch => StatusCode::BAD_GATEWAY,
        _ if error.verdict().effect.nothing_happened() => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::GATEWAY_TIMEOUT,
    }
}

#[derive(Default, Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    code: &'a str,
    retry: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    effect: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    challenge_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
}

impl Document<'_> {
    fn response<B: Rebuild>(self, status: StatusCode, verdict: Verdict) -> Response<B> {
        let document = Document {
            status: status.as_u16(),
            retry_after_ms: verdict
                .retry_after
                .map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
            ..self
        };
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = Response::new(B::from(Bytes::from(body)));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(wait) = verdict.retry_after {
            headers.insert(RETRY_AFTER, whole_seconds(wait).into());
        }
        if status == StatusCode::UNAUTHORIZED {
            // RFC 9110, section 11.6.1: a 401 names the scheme it wants
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Signature"));
        }
        response.extensions_mut().insert(verdict);
        response
    }
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
    problem_as(rejection, status_of(rejection.kind()))
}

/// As [`problem`], with another status.
pub(crate) fn problem_as<B: Rebuild>(rejection: &Rejection, status: StatusCode) -> Response<B> {
    let (kind, verdict) = (rejection.kind(), rejection.verdict());
    let document = Document {
        r#type: format!("{PROBLEM_BASE}{}", kind.code()),
        title: kind.title(),
        code: kind.code(),
        retry: match kind {
            // over HTTP, a repeat under the same key is the query
            RejectionKind::OutcomeUnknown => "same-key",
            RejectionKind::NotReplayable | RejectionKind::KeyExpired => "do-not-retry",
            _ => retry_word(verdict.advice),
        },
        detail: rejection.detail(),
        ..Document::default()
    };
    document.response(status, verdict)
}

/// The response of a handler whose payment call failed: what a layer refused as [`problem`] tells it, anything else by its kind, with
/// `effect` saying what became of the money. Its verdict stands in the extensions, so that an idempotency layer around the handler
/// does not have to guess it from the status. What failed before anything was sent says why in `detail`; a gateway's own message stays
/// inside, for people who may read logs.
///
/// ```
/// use bytes::Bytes;
/// use http_body_util::Full;
/// use tollgate::http::problem::problem_of_error;
/// use tollgate_core::{Effect, PaymentError, Verdict};
///
/// let response: http::Response<Full<Bytes>> = problem_of_error(&PaymentError::timeout("no answer within 10 s"));
/// assert_eq!(response.status(), 504);
/// assert_eq!(response.extensions().get::<Verdict>().unwrap().effect, Effect::Unknown);
/// ```
pub fn problem_of_error<B: Rebuild>(error: &PaymentError) -> Response<B> {
    if let Some(rejection) = error.rejection() {
        return problem(rejection);
    }
    let (kind, verdict) = (error.kind(), error.verdict());
    let document = Document {
        r#type: format!("{PROBLEM_BASE}{}", kind.as_str()),
        title: match verdict.effect {
            Effect::Declined => "The payment was refused",
            Effect::NotSent | Effect::TurnedAway => "The payment was not made",
            Effect::Executed => "The payment was made, but not as it was asked for",
            Effect::Unknown => "It is not known yet whether the payment was made",
        },
        code: error.code().unwrap_or(kind.as_str()),
        retry: retry_word(verdict.advice),
        detail: if verdict.effect == Effect::NotSent {
            error.message()
        } else {
            ""
        },
        effect: Some(verdict.effect.as_str()),
        challenge_url: error.challenge().map(|challenge| challenge.url.as_str()),
        ..Document::default()
    };
    document.response(status_of_error(error), verdict)
}

/// Rounded up, and never 0: a client told to wait 0 seconds hammers (tower-governor #62).
fn whole_seconds(wait: Duration) -> u64 {
    let up = u64::from(wait.subsec_nanos() > 0);
    wait.as_secs().saturating_add(up).max(1)
}
