//! Charging and refunding.

use super::Shop;
use axum::Json;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use tollgate::http::problem::{problem, problem_of_error};
use tollgate::idempotency::key_of;
use tollgate_core::gateway::{Call, NewPayment, Payment, Refund, Sale};
use tollgate_core::id::{CustomerId, InstrumentToken, MerchantReference, PaymentId};
use tollgate_core::money::MoneyError;
use tollgate_core::{
    Advice, Blame, CallContext, Effect, IdempotencyKey, Money, PaymentError, PaymentErrorKind, Rejection,
    RejectionKind, Verdict,
};
use tower::ServiceExt;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewCharge {
    pub reference: String,
    pub amount: String,
    pub token: String,
    pub customer: Option<String>,
}

impl NewCharge {
    pub fn payment(self) -> Result<NewPayment, PaymentError> {
        let payment = NewPayment::new(
            self.amount.parse().map_err(|error: MoneyError| invalid(&error))?,
            InstrumentToken::new(self.token)?,
            MerchantReference::new(self.reference)?,
        );
        match self.customer {
            None => Ok(payment),
            Some(customer) => Ok(payment.customer(CustomerId::new(customer)?)),
        }
    }
}

/// What the caller wrote is wrong, and nothing was sent.
fn invalid(error: &MoneyError) -> PaymentError {
    unsent(format!("amount: {error}"))
}

fn unsent(why: impl Into<std::borrow::Cow<'static, str>>) -> PaymentError {
    PaymentError::new(PaymentErrorKind::InvalidRequest, why).with_verdict(Verdict::new(
        Effect::NotSent,
        Advice::CorrectInput,
        Blame::Caller,
    ))
}

/// The caller's key: every request that moves money has one.
fn key_in(headers: &HeaderMap) -> Result<IdempotencyKey, Rejection> {
    key_of(headers)?.ok_or_else(|| RejectionKind::KeyMissing.into())
}

/// `POST /charges`: the caller's key is the message's key, and the stack around the acquirer guards it.
pub async fn charge(
    State(shop): State<Arc<Shop>>,
    headers: HeaderMap,
    Json(asked): Json<NewCharge>,
) -> Result<Response, Response> {
    let key = key_in(&headers).map_err(|no| problem(&no))?;
    let payment = asked.payment().map_err(|error| problem_of_error(&error))?;
    let sale = Call::new(Sale { key, payment });
    match shop.acquirer.charges.clone().oneshot(sale).await {
        Ok(payment) => {
            shop.books.note(&payment);
            Ok((StatusCode::CREATED, Json(told(&payment))).into_response())
        }
        Err(error) => {
            tracing::warn!(%error, "charge failed");
            Err(problem_of_error(&error))
        }
    }
}

fn told(payment: &Payment) -> serde_json::Value {
    json!({
        "payment": payment.id.as_str(),
        "reference": payment.reference.as_str(),
        "status": payment.status.as_str(),
        "captured": payment.captured.to_string(),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewRefund {
    payment: String,
    amount: Option<String>,
}

/// `POST /refunds`: the inbound layer guards the request, and its claim travels on in the context, so that retry may repeat and the
/// acquirer sees one key.
pub async fn refund(
    State(shop): State<Arc<Shop>>,
    Extension(context): Extension<CallContext>,
    headers: HeaderMap,
    Json(asked): Json<NewRefund>,
) -> Result<Response, Response> {
    let refund = || {
        let amount = asked.amount.as_deref().map(str::parse).transpose();
        Ok(PaymentId::new(asked.payment.as_str())?)
            .and_then(|payment| Ok((payment, amount.map_err(|error: MoneyError| invalid(&error))?)))
    };
    let (payment, amount) = refund().map_err(|error: PaymentError| problem_of_error(&error))?;
    if amount.is_some_and(|amount: Money| !amount.is_positive()) {
        return Err(problem_of_error(&unsent("a refund gives back more than nothing")));
    }
    let message = Refund {
        key: key_in(&headers).map_err(|no| problem(&no))?,
        payment,
        amount,
        reason: None,
    };
    match shop
        .acquirer
        .refunds
        .clone()
        .oneshot(Call { message, context })
        .await
    {
        Ok(receipt) => {
            shop.books.refunded(receipt.payment.as_str(), receipt.amount);
            let told = json!({ "payment": receipt.payment.as_str(), "refunded": receipt.amount.to_string() });
            Ok((StatusCode::CREATED, Json(told)).into_response())
        }
        Err(error) => Err(problem_of_error(&error)),
    }
}
