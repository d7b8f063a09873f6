use super::problem::{problem, status_of};
use super::*;
use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::{BodyExt, Full};
use std::collections::BTreeMap;
use std::convert::Infallible;
use tollgate_core::{
    Answers, Effect, Fault, PaymentError, PaymentErrorKind, Rejection, RejectionKind, Verdict,
};

fn answer(rejection: Rejection) -> Result<Response<Full<Bytes>>, Infallible> {
    Http.refuse(rejection)
}

#[test]
fn a_refusal_keeps_its_verdict_through_http() {
    for kind in RejectionKind::ALL {
        let rejection = Rejection::new(*kind);
        assert_eq!(
            Http.judge(&answer(rejection.clone())),
            rejection.verdict(),
            "{kind:?}"
        );
    }
}

/// A status alone must never say "nothing happened" about a refusal of ours that says "unknown".
#[test]
fn the_status_of_an_open_outcome_invites_no_new_key() {
    for kind in RejectionKind::ALL {
        let (said, seen) = (kind.verdict().effect, verdict_of_status(status_of(*kind)).effect);
        assert!(said != Effect::Unknown || !seen.nothing_happened(), "{kind:?}");
    }
}

#[tokio::test]
async fn a_problem_document_reads_as_documented() {
    let rejection = Rejection::new(RejectionKind::KeyReused).because("the amount differs");
    let response: Response<Full<Bytes>> = problem(&rejection);
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let document: BTreeMap<String, serde_json::Value> = serde_json::from_slice(&body).unwrap();
    assert_eq!(document["code"], "key-reused");
    assert_eq!(document["retry"], "new-key");
    assert_eq!(document["detail"], "the amount differs");
    assert!(document["type"].as_str().unwrap().ends_with("#key-reused"));
    assert!(!document.contains_key("retry_after_ms"));
}

#[tokio::test]
async fn a_body_is_read_up_to_the_limit() {
    let read = |text: &'static str, limit| ReadBody::new(Full::new(Bytes::from(text)), limit);
    assert_eq!(read("12345", 5).await, ReadOutcome::Whole(Bytes::from("12345")));
    assert_eq!(read("123456", 5).await, ReadOutcome::TooLarge);
    assert_eq!(read("", 0).await, ReadOutcome::Whole(Bytes::new()));
}

/// Every kind of failed call says in its status what became of the money, and never 2xx or 500.
#[tokio::test]
async fn failed_calls_have_a_status_that_tells_the_effect() {
    for kind in PaymentErrorKind::ALL {
        let error = PaymentError::new(*kind, "internal text");
        let response: Response<Full<Bytes>> = problem::problem_of_error(&error);
        let (status, effect) = (response.status().as_u16(), error.verdict().effect);
        assert_eq!(response.extensions().get::<Verdict>(), Some(&error.verdict()));
        match effect {
            Effect::Unknown => assert!([504, 409].contains(&status), "{kind:?} {status}"),
            Effect::NotSent | Effect::TurnedAway => assert_ne!(status, 504, "{kind:?}"),
            Effect::Declined | Effect::Executed => {
                assert!([402, 409, 502].contains(&status), "{kind:?} {status}")
            }
        }
    }
    let challenge = PaymentError::authentication_required("text", "https://bank.example/1");
    let response: Response<Full<Bytes>> = problem::problem_of_error(&challenge);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let body = String::from_utf8(body.to_vec()).unwrap();
    assert!(body.contains("https://bank.example/1") && !body.contains("internal text"));
}

/// `tower_http::timeout::TimeoutLayer` answers 408 for a handler that it cut off in the middle of a charge.
#[test]
fn a_call_that_was_cut_off_may_have_happened() {
    for status in [408, 499, 500, 504] {
        let status = StatusCode::from_u16(status).unwrap();
        assert_eq!(verdict_of_status(status).effect, Effect::Unknown, "{status}");
    }
}

/// The peer's 409 "still in flight" (draft-ietf-httpapi-idempotency-key-header) after a time-out is no final no.
#[test]
fn a_peers_conflict_ends_no_doubt() {
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = StatusCode::CONFLICT;
    let answer: Result<_, PaymentError> = Ok(response);
    let key = tollgate_core::KeyInForce::for_step(b"step");
    let _ = key.downstream_key("peer");
    key.ledger().record(Effect::Unknown);
    assert_eq!(
        key.ledger().total(HttpClient.judge(&answer).effect),
        Effect::Unknown
    );
}
