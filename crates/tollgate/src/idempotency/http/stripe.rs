//! A refusal in the words of Stripe's API, for its client libraries.

use crate::http::Rebuild;
use crate::http::problem::{PROBLEM_BASE, problem};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;
use tollgate_core::{Rejection, RejectionKind};

/// Honoured by Stripe's client libraries over what the status says.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("stripe-should-retry");

#[derive(Serialize)]
struct Envelope<'a> {
    error: Inner<'a>,
}

#[derive(Serialize)]
struct Inner<'a> {
    r#type: &'a str,
    code: &'a str,
    message: &'a str,
    doc_url: &'a str,
}

/// What the client libraries make of a refusal depends on this and on the status.
fn type_of(kind: RejectionKind, status: StatusCode) -> &'static str {
    use RejectionKind as Kind;
    match kind {
        Kind::KeyReused => "idempotency_error",
        Kind::OutcomeUnknown | Kind::NotReplayable | Kind::KeyExpired => "api_error",
        _ if status == StatusCode::PAYMENT_REQUIRED => "card_error",
        _ if status.is_client_error() => "invalid_request_error",
        _ => "api_error",
    }
}

const fn code_of(kind: RejectionKind) -> &'static str {
    match kind {
        RejectionKind::KeyInFlight => "idempotency_key_in_use",
        other => other.code(),
    }
}

/// A repeat will meet the same answer until somebody has looked, and a library that repeats a 409 by itself must not.
const fn pointless_to_retry(kind: RejectionKind) -> bool {
    matches!(
        kind,
        RejectionKind::OutcomeUnknown
            | RejectionKind::NotReplayable
            | RejectionKind::KeyExpired
            | RejectionKind::KeyReused
    )
}

/// The response that carries a rejection to a Stripe client library. As with [`problem`], the verdict is in its extensions and the
/// waiting time in `Retry-After`.
pub(super) fn stripe_error<B: Rebuild>(rejection: &Rejection, status: StatusCode) -> Response<B> {
    let kind = rejection.kind();
    let message = match rejection.detail() {
        "" => kind.title().to_owned(),
        detail => format!("{}: {detail}", kind.title()),
    };
    let error = Inner {
        r#type: type_of(kind, status),
        code: code_of(kind),
        message: &message,
        doc_url: &format!("{PROBLEM_BASE}{}", kind.code()),
    };
    let mut response = problem::<B>(rejection);
    *response.status_mut() = status;
    *response.body_mut() = B::from(Bytes::from(
        serde_json::to_vec(&Envelope { error }).unwrap_or_default(),
    ));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if pointless_to_retry(kind) {
        headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
    }
    response
}
