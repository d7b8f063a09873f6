//! KNOWN TO BE WRONG: the policy of `prod_py_utils` 1.0.0, `payments/idempotency.py`, step by step.
//!
//! 1. `set_if_absent` a record in flight, with the same life (24 hours) as a finished one;
//! 2. it was there: another payload is a conflict; in flight is refused at once; completed and failed are replayed;
//! 3. it was not: run. A final error is stored as failed. **Every error that the package calls retriable deletes the record**, a
//!    time-out after the send among them, and so does every error it does not know; success is stored as completed.
//!
//! No lease, no fencing, no word for "nobody knows". A killed process leaves its key in flight for a day, listed nowhere.

use super::{Keeper, answer};
use crate::Error;
use crate::merchant::points::Point;
use crate::merchant::{Standing, declined, paid};
use axum::body::Body;
use axum::http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use std::future::Future;
use std::time::Duration;
use tollgate_core::{PaymentError, PaymentErrorKind};

/// `ttl_seconds=86400`, for records in flight as well.
const TTL: Duration = Duration::from_secs(86_400);

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    InFlight,
    Completed,
    Failed,
}

#[derive(Debug, Serialize, Deserialize)]
struct Record {
    payload: String,
    state: State,
    result: String,
}

impl Record {
    fn text(payload: &str, state: State, result: &str) -> String {
        let (payload, result) = (payload.to_owned(), result.to_owned());
        let record = Self {
            payload,
            state,
            result,
        };
        serde_json::to_string(&record).unwrap_or_default()
    }
}

/// The package's `retriable`: network, time-out (!), rate limit. Errors that it does not know count as retriable too.
fn is_final(error: &PaymentError) -> bool {
    matches!(
        error.kind(),
        PaymentErrorKind::Declined
            | PaymentErrorKind::InsufficientFunds
            | PaymentErrorKind::FraudBlocked
            | PaymentErrorKind::AuthenticationRequired
            | PaymentErrorKind::InvalidRequest
    )
}

pub async fn charge<R, F>(keeper: &Keeper, key: &str, payload: &str, run: R) -> Result<Response<Body>, Error>
where
    R: FnOnce() -> F + Send,
    F: Future<Output = Result<String, PaymentError>> + Send,
{
    let Keeper { shelf, points, .. } = keeper;
    let in_flight = Record::text(payload, State::InFlight, "");
    if !shelf.put_if_absent(key, &in_flight, TTL).await? {
        if let Some(text) = shelf.get(key).await? {
            return replay(&text, payload);
        }
        // it vanished in between: one more try, then a refusal
        if !shelf.put_if_absent(key, &in_flight, TTL).await? {
            return Ok(answer(StatusCode::CONFLICT, "idempotency_race"));
        }
    }
    points.pass(Point::AfterBegin);
    let outcome = run().await;
    points.pass(Point::BeforeSettle);
    let response = match outcome {
        Ok(charge) => {
            let record = Record::text(payload, State::Completed, &charge);
            shelf.put(key, &record, TTL).await?;
            paid(&charge)
        }
        Err(error) if is_final(&error) => {
            let record = Record::text(payload, State::Failed, error.kind().as_str());
            shelf.put(key, &record, TTL).await?;
            declined()
        }
        Err(error) => {
            shelf.remove(key).await?;
            answer(StatusCode::SERVICE_UNAVAILABLE, error.kind().as_str())
        }
    };
    points.pass(Point::AfterSettle);
    Ok(response)
}

fn replay(text: &str, payload: &str) -> Result<Response<Body>, Error> {
    let record: Record = serde_json::from_str(text)?;
    Ok(match record.state {
        _ if record.payload != payload => answer(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_conflict"),
        State::InFlight => answer(StatusCode::CONFLICT, "idempotency_in_flight"),
        State::Completed => paid(&record.result),
        State::Failed => declined(),
    })
}

pub fn standing(text: &str) -> Result<Standing, Error> {
    let record: Record = serde_json::from_str(text)?;
    Ok(match record.state {
        State::InFlight => Standing::Running,
        State::Completed => Standing::Executed,
        State::Failed => Standing::Declined,
    })
}
