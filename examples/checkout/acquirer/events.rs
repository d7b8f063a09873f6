//! Signed webhooks to the merchant, genuine and otherwise.

use crate::net::Client;
use axum::Json;
use axum::http::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;
use tollgate::webhook::Stripe;
use tollgate_core::{Clock, Secret, SystemClock};

/// Both sides know it.
pub const SECRET: &str = "whsec_the_acquirer_and_the_merchant_know_it";

#[derive(Deserialize)]
pub struct Delivery {
    url: String,
    event: Value,
    /// Changes the body after it was signed.
    #[serde(default)]
    tamper: bool,
    /// Signs with a time so many seconds ago.
    #[serde(default)]
    seconds_ago: u64,
}

/// Sends one, and tells what the merchant answered.
pub async fn send(Json(delivery): Json<Delivery>) -> Json<Value> {
    let at = SystemClock
        .now()
        .saturating_sub(Duration::from_secs(delivery.seconds_ago));
    let mut body = delivery.event.to_string();
    let Ok(scheme) = Stripe::new(&[Secret::new(SECRET.to_owned())]) else {
        return Json(json!({ "error": "the secret is unusable" }));
    };
    let signed = scheme.sign(at, body.as_bytes());
    if delivery.tamper {
        body = body.replace("captured", "refunded");
    }
    let headers: Vec<(&str, &str)> = signed
        .iter()
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
        .collect();
    let client = Client::new(delivery.url, Duration::from_secs(5));
    Json(match client.send(Method::POST, "", &headers, Some(body)).await {
        Ok(answer) => json!({
            "status": answer.status.as_u16(),
            "duplicate": answer.header("webhook-duplicate").is_some(),
            "code": answer.json()["code"],
        }),
        Err(failure) => json!({ "error": failure.to_string() }),
    })
}
