//! The other side of the money: what it does stands in its ledger, whatever it answers.
//!
//! ```text
//! POST /charges              Idempotency-Key: what the merchant sends; {"reference": the client's key, "card": "good" | "bad"}
//! GET  /charges/{sent key}   what became of it
//! POST /control/calm         no more faults; answers when nothing is on its way any more
//! GET  /control/faults       how often each fault was injected
//! ```

mod faults;
mod ledger;

use crate::Error;
use crate::evidence::Files;
use crate::net::{self, HangUp};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use faults::{Fault, Faults};
pub use ledger::{Deed, Entry};
use ledger::{Ledger, Sent};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

#[derive(Debug, Serialize, Deserialize)]
pub struct GatewayTold {
    pub files: Files,
    pub seed: u64,
    pub dedup: bool,
}

#[derive(Debug)]
struct Gateway {
    ledger: Ledger,
    faults: Faults,
    on_their_way: AtomicU64,
}

type Shared = State<Arc<Gateway>>;

pub async fn run(told: GatewayTold) -> Result<(), Error> {
    let gateway = Arc::new(Gateway {
        ledger: Ledger::open(&told.files.ledger(), told.dedup)?,
        faults: Faults::new(told.seed),
        on_their_way: AtomicU64::new(0),
    });
    let app = Router::new()
        .route("/charges", post(charge))
        .route("/charges/{key}", get(find))
        .route("/control/calm", post(calm))
        .route("/control/faults", get(injected))
        .with_state(gateway);
    let listener = net::listen(0).await?;
    net::ready(&[&listener])?;
    Ok(net::serve(listener, app).await?)
}

#[derive(Debug, Deserialize)]
struct NewCharge {
    reference: String,
    card: String,
}

/// In a task of its own: who hangs up does not stop a gateway.
async fn charge(State(gateway): Shared, headers: HeaderMap, Json(asked): Json<NewCharge>) -> Response {
    let Some(key) = headers.get("idempotency-key").and_then(|key| key.to_str().ok()) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let sent = Sent {
        key: asked.reference,
        downstream: key.to_owned(),
        declined: asked.card == "bad",
    };
    gateway.on_their_way.fetch_add(1, SeqCst);
    let at_work = Arc::clone(&gateway);
    let worker = tokio::spawn(async move {
        let answer = work(&at_work, sent).await;
        at_work.on_their_way.fetch_sub(1, SeqCst);
        answer
    });
    worker
        .await
        .unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

/// Around the one line that counts, everything that can go wrong.
async fn work(gateway: &Gateway, sent: Sent) -> Response {
    let fault = gateway.faults.next(&sent.downstream);
    match fault {
        Fault::ErrorBefore => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Fault::TurnedAway => return (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "0")]).into_response(),
        Fault::LateEffect(wait) => tokio::time::sleep(wait).await,
        _ => {}
    }
    let Ok(entry) = gateway.ledger.enter(sent).await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    match fault {
        Fault::ErrorAfter => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Fault::AnswerLost => {
            let mut response = StatusCode::OK.into_response();
            response.extensions_mut().insert(HangUp);
            response
        }
        Fault::LateAnswer(wait) => {
            tokio::time::sleep(wait).await;
            told(&entry)
        }
        _ => told(&entry),
    }
}

fn told(entry: &Entry) -> Response {
    let status = match entry.deed {
        Deed::Charged => StatusCode::CREATED,
        Deed::Declined => StatusCode::PAYMENT_REQUIRED,
    };
    (status, Json(json!({ "charge": entry.charge }))).into_response()
}

async fn find(State(gateway): Shared, Path(key): Path<String>) -> Response {
    match gateway.ledger.find(key).await {
        Ok(Some(entry)) => told(&entry),
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// Idle for a while: what was still in a socket has been read by then.
async fn calm(State(gateway): Shared) -> StatusCode {
    const STILL: u32 = 10;
    gateway.faults.stop();
    let mut still = 0;
    while still < STILL {
        tokio::time::sleep(Duration::from_millis(50)).await;
        still = if gateway.on_their_way.load(SeqCst) == 0 {
            still + 1
        } else {
            0
        };
    }
    StatusCode::NO_CONTENT
}

async fn injected(State(gateway): Shared) -> Json<Value> {
    let counts: BTreeMap<_, _> = gateway.faults.counts();
    Json(json!(counts))
}
