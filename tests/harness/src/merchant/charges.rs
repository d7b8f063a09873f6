//! `POST /charges`.

use super::{Guard, Shop};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Extensions, HeaderMap, Response, StatusCode};
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use tollgate::http::problem::{problem, problem_of_error};
use tollgate::idempotency::key_of;
use tollgate_core::gateway::{Call, NewPayment, Payment, Sale};
use tollgate_core::id::{InstrumentToken, MerchantReference};
use tollgate_core::{CallContext, IdempotencyKey, PaymentError, RejectionKind};
use tower::ServiceExt;

#[derive(Clone, Debug, Deserialize)]
pub struct NewCharge {
    card: String,
}

/// Under tollgate the layer around this handler guards it, and its claim comes in the context. The others guard in here, as their
/// users write it.
pub async fn charge(
    State(shop): State<Arc<Shop>>,
    headers: HeaderMap,
    extensions: Extensions,
    Json(asked): Json<NewCharge>,
) -> Response<Body> {
    let key = match key_of(&headers) {
        Ok(Some(key)) => key,
        Ok(None) => return problem(&RejectionKind::KeyMissing.into()),
        Err(no) => return problem(&no),
    };
    let context = extensions.get::<CallContext>().cloned().unwrap_or_default();
    let call = match sale(&key, &asked) {
        Ok(message) => Call { message, context },
        Err(error) => return problem_of_error(&error),
    };
    match &shop.guard {
        Guard::Tollgate { .. } => match shop.outbound.clone().oneshot(call).await {
            Ok(payment) => paid(payment.id.as_str()),
            Err(error) => problem_of_error(&error),
        },
        Guard::Wrong(_) => {
            // a task of its own, so that a client that hangs up cuts nothing in half: a fairer chance than their users get
            let task = tokio::spawn(async move {
                let Guard::Wrong(keeper) = &shop.guard else {
                    unreachable!("just seen")
                };
                let run = || async {
                    let payment: Payment = shop.outbound.clone().oneshot(call).await?;
                    Ok(payment.id.to_string())
                };
                keeper.charge(key.as_str(), &asked.card, run).await
            });
            task.await
                .unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
        }
    }
}

fn sale(key: &IdempotencyKey, asked: &NewCharge) -> Result<Sale, PaymentError> {
    let payment = NewPayment::new(
        tollgate_core::Money::from_minor(1999, tollgate_core::Currency::EUR),
        InstrumentToken::new(asked.card.as_str())?,
        MerchantReference::new(key.as_str())?,
    );
    Ok(Sale {
        key: key.clone(),
        payment,
    })
}

/// What a client is told that has paid, now or by a look-up later.
pub fn paid(charge: &str) -> Response<Body> {
    (StatusCode::CREATED, Json(json!({ "charge": charge }))).into_response()
}

pub fn declined() -> Response<Body> {
    problem_of_error(&PaymentError::declined("declined", "bad_card"))
}
