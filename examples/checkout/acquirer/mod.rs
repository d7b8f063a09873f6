//! The acquirer: the other side of the money. It keeps a ledger of its own on disk, remembers idempotency keys as real ones do, and
//! fails on demand.

mod events;
mod faults;
mod ledger;

use crate::Error;
use crate::args::RoleArgs;
use crate::net::{self, HangUp};
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
pub use events::SECRET;
use faults::{Fault, Faults};
use ledger::{Ledger, Refused, Verb};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

#[derive(Debug)]
pub struct Acquirer {
    ledger: Mutex<Ledger>,
    faults: Mutex<Faults>,
}

impl Acquirer {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Shared = State<Arc<Acquirer>>;

pub async fn run(args: RoleArgs) -> Result<(), Error> {
    let acquirer = Arc::new(Acquirer {
        ledger: Mutex::new(Ledger::open(&args.data.join("ledger.jsonl"))?),
        faults: Mutex::default(),
    });
    let app = Router::new()
        .route("/v1/payments", post(pay).get(find))
        .route("/v1/payments/{id}", get(read))
        .route("/v1/payments/{id}/{verb}", post(change))
        .route("/v1/report", get(report))
        .route("/control/faults", post(faults))
        .route("/control/report", post(plant))
        .route("/control/ledger", get(ledger_now))
        .route("/control/webhook", post(events::send))
        .with_state(acquirer);
    Ok(net::serve(net::listen(args.port).await?, app).await?)
}

async fn pay(state: Shared, headers: HeaderMap, body: Bytes) -> Response {
    moved(state, None, &headers, &body, "pay").await
}

async fn change(
    state: Shared,
    Path((id, verb)): Path<(String, String)>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let verb = match verb.as_str() {
        "capture" => Verb::Capture,
        "void" => Verb::Void,
        "refund" => Verb::Refund,
        _ => return refused(&Refused::unknown()),
    };
    moved(state, Some((id, verb)), &headers, &body, uri.path()).await
}

/// Every request that moves money comes through here, past the faults.
async fn moved(
    State(acquirer): Shared,
    target: Option<(String, Verb)>,
    headers: &HeaderMap,
    body: &Bytes,
    path: &str,
) -> Response {
    let fault = acquirer.faults().next();
    match fault {
        Fault::HangUpBefore => return hang_up(),
        Fault::TimeOutBefore => tokio::time::sleep(Duration::from_secs(3600)).await,
        Fault::Error500 => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Fault::TooMany => return (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "1")]).into_response(),
        Fault::Slow(wait) => tokio::time::sleep(Duration::from_millis(wait)).await,
        _ => {}
    }
    let key = headers
        .get("idempotency-key")
        .and_then(|value| value.to_str().ok());
    let asked: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let answer = {
        let mut ledger = acquirer.ledger();
        let fingerprint = format!("{path} {asked}");
        match (ledger.answered(key, &fingerprint), target) {
            (Some(before), _) => before,
            (None, None) => ledger.pay(key, &fingerprint, &asked, fault == Fault::Decline),
            (None, Some((id, verb))) => ledger.change(key, &fingerprint, &id, verb, &asked),
        }
    };
    match fault {
        Fault::HangUpAfter => hang_up(),
        Fault::TimeOutAfter => {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            hang_up()
        }
        _ => match answer {
            Ok(payment) => (StatusCode::CREATED, Json(json!(payment))).into_response(),
            Err(no) => refused(&no),
        },
    }
}

fn hang_up() -> Response {
    let mut response = StatusCode::OK.into_response();
    response.extensions_mut().insert(HangUp);
    response
}

fn refused(no: &Refused) -> Response {
    let status = StatusCode::from_u16(no.status).unwrap_or(StatusCode::BAD_REQUEST);
    (status, Json(json!({ "code": no.code }))).into_response()
}

async fn read(State(acquirer): Shared, Path(id): Path<String>) -> Response {
    match acquirer.ledger().payment(&id) {
        Some(payment) => Json(json!(payment)).into_response(),
        None => refused(&Refused::unknown()),
    }
}

#[derive(Deserialize)]
struct Question {
    reference: Option<String>,
    key: Option<String>,
}

/// By the merchant's reference, or by the key a payment was made under.
async fn find(State(acquirer): Shared, Query(question): Query<Question>) -> Json<Value> {
    let found = acquirer
        .ledger()
        .find(question.reference.as_deref(), question.key.as_deref());
    Json(json!(found))
}

async fn report(State(acquirer): Shared) -> Json<Value> {
    Json(json!(acquirer.ledger().report()))
}

async fn faults(State(acquirer): Shared, Json(next): Json<Vec<Fault>>) -> StatusCode {
    acquirer.faults().will(next);
    StatusCode::NO_CONTENT
}

/// Makes the report say what the ledger does not: `hide`, `misstate` and `invent` references.
async fn plant(State(acquirer): Shared, Json(plan): Json<ledger::Plan>) -> StatusCode {
    acquirer.ledger().plan = plan;
    StatusCode::NO_CONTENT
}

/// What the ledger counts: of one reference, or of all.
async fn ledger_now(State(acquirer): Shared, Query(question): Query<Question>) -> Json<Value> {
    let requests = acquirer.faults().seen();
    let ledger = acquirer.ledger();
    Json(json!({
        "requests": requests,
        "payments": ledger.find(question.reference.as_deref(), None),
    }))
}
