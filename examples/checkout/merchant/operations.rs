//! What operators do: end doubts, reconcile, read notes.

use super::Shop;
use super::acquirer_client::PEER;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};
use tollgate::Gateway;
use tollgate::idempotency::{Finding, stored_answer};
use tollgate_core::gateway::{Call, Lookup, LookupPayment, Payment, Sale};
use tollgate_core::id::{MerchantReference, PaymentId};
use tollgate_core::store::idempotency::Unresolved;
use tollgate_core::{Clock, PaymentError, SystemClock};
use tollgate_reconcile::{Class, Handlers, RawRow, Reader, Reconciler, Row, Sheet, Side};
use tower::ServiceExt;

type Told = Result<Json<Value>, (StatusCode, String)>;

fn failed(error: impl std::fmt::Display) -> (StatusCode, String) {
    (StatusCode::SERVICE_UNAVAILABLE, error.to_string())
}

/// `GET /operations/open`: the charges nobody knows the outcome of.
pub async fn open(State(shop): State<Arc<Shop>>) -> Told {
    let (mut keys, mut phases) = (shop.doubts.open(), Vec::new());
    while let Some(open) = keys.next().await.map_err(failed)? {
        phases.push(format!("{:?}", open.unresolved.phase));
    }
    Ok(Json(json!({ "open": phases })))
}

/// `POST /operations/resolve`: asks the acquirer about each of them, by the key that was sent to it. Each finding goes to the audit log.
pub async fn resolve(State(shop): State<Arc<Shop>>) -> Told {
    let pass = shop
        .doubts
        .resolve_open("operator", |open| look(&shop, open))
        .await
        .map_err(failed)?;
    Ok(Json(
        json!({ "settled": pass.settled, "released": pass.released, "open": pass.open }),
    ))
}

async fn look(shop: &Shop, open: Unresolved) -> Finding {
    let key = shop.secrets.downstream_key(&open.key, PEER);
    let question = Call::new(LookupPayment::ByKey(key));
    match shop.acquirer.plain.clone().oneshot(question).await {
        Ok(Lookup::Found(payment)) => {
            shop.books.note(&payment);
            let reason = format!("lookup found {}, {}", payment.id, payment.status).into();
            // repeats get this payment as if its answer had arrived
            let answer = Ok::<Payment, PaymentError>(payment);
            let completion = stored_answer::<Call<Sale>, _, _, _>(&Gateway, answer).await;
            Finding::Settled { completion, reason }
        }
        Ok(Lookup::NotFound) => Finding::Absent {
            reason: "the acquirer knows nothing of this key".into(),
        },
        Ok(Lookup::Pending) | Err(_) => Finding::StillOpen,
    }
}

/// `POST /operations/reconcile`: our books against the acquirer's report.
pub async fn reconcile(State(shop): State<Arc<Shop>>) -> Told {
    let report = shop.acquirer.plain.report().await.map_err(failed)?;
    let reader = Reader::new(Side::Gateway)
        .minor_units(Default::default())
        .unix_seconds();
    let mut gateway = Sheet::default();
    for (line, row) in (1..).zip(report.as_array().map(Vec::as_slice).unwrap_or_default()) {
        let text = |field: &str| match &row[field] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let raw = RawRow::new(
            &text("reference"),
            &text("amount_minor"),
            &text("currency"),
            &text("status"),
            &text("at"),
        );
        gateway.extend([reader.read(line, &raw.payment(&text("id")))]);
    }
    let ledger = shop.books.all().into_iter().map(|belief| {
        let reference = MerchantReference::new(belief.reference.as_str())?;
        let row = Row::new(reference, belief.amount, belief.status, belief.at);
        Ok::<_, tollgate_core::id::InvalidText>(row.payment(PaymentId::new(belief.payment.as_str())?))
    });
    let ledger: Vec<Row> = ledger.collect::<Result<_, _>>().map_err(failed)?;

    let report = Reconciler::new(SystemClock.now())
        .reconcile(ledger, gateway)
        .map_err(failed)?;
    let paged = Mutex::new(Vec::new());
    let mut handlers = Handlers::new()
        .on(Class::MissingAtGateway, "on-call", |found| {
            paged
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(found.reference().to_owned());
            Ok::<(), std::fmt::Error>(())
        })
        .on_any("log", |found| {
            tracing::warn!(class = found.class().as_str(), "reconciliation found something");
            Ok::<(), std::fmt::Error>(())
        });
    let complete = handlers.run(&report).is_complete();
    drop(handlers);
    tracing::info!("\n{report}");
    let found: Vec<_> = report
        .discrepancies()
        .iter()
        .map(|found| json!({ "class": found.class().as_str(), "reference": found.reference() }))
        .collect();
    Ok(Json(json!({
        "matched": report.matches().len(),
        "discrepancies": found,
        "paged": paged.into_inner().unwrap_or_else(PoisonError::into_inner),
        "handled": complete,
    })))
}

#[derive(Deserialize)]
pub struct Note {
    text: String,
}

/// `POST /support-notes`: somebody types a card number into a note. It goes to the log, as notes do; the writer masks it.
pub async fn note(Json(note): Json<Note>) -> StatusCode {
    tracing::info!(note = note.text, "support note");
    StatusCode::NO_CONTENT
}
