//! Inventory and shipping. Both remember what they did by the caller's key, as such services should.

use crate::Error;
use crate::args::RoleArgs;
use crate::net;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

type Answer = (StatusCode, Json<Value>);

fn key_in(headers: &HeaderMap) -> String {
    let key = headers
        .get("idempotency-key")
        .and_then(|value| value.to_str().ok());
    key.unwrap_or_default().to_owned()
}

fn lock<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug)]
struct Inventory {
    free: u64,
    held: BTreeMap<String, u64>,
    released: BTreeSet<String>,
}

pub async fn run_inventory(args: RoleArgs) -> Result<(), Error> {
    let state = Arc::new(Mutex::new(Inventory {
        free: 100,
        held: BTreeMap::new(),
        released: BTreeSet::new(),
    }));
    let app = Router::new()
        .route("/reservations", post(reserve))
        .route("/releases", post(release))
        .route("/stock", get(stock))
        .with_state(state);
    Ok(net::serve(net::listen(args.port).await?, app).await?)
}

/// Reserves under the caller's key: the same key again is the same reservation.
async fn reserve(
    State(state): State<Arc<Mutex<Inventory>>>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Answer {
    let (key, quantity) = (key_in(&headers), body["quantity"].as_u64().unwrap_or(1));
    let mut inventory = lock(&state);
    if !inventory.held.contains_key(&key) && !inventory.released.contains(&key) {
        if inventory.free < quantity {
            return (StatusCode::CONFLICT, Json(json!({ "code": "out_of_stock" })));
        }
        inventory.free -= quantity;
        inventory.held.insert(key.clone(), quantity);
    }
    (StatusCode::CREATED, Json(json!({ "reservation": key })))
}

/// Gives a reservation back, once; one that was never made can be given back too, and can then not be made any more.
async fn release(State(state): State<Arc<Mutex<Inventory>>>, Json(body): Json<Value>) -> Answer {
    let key = body["reservation"].as_str().unwrap_or_default().to_owned();
    let mut inventory = lock(&state);
    if let Some(quantity) = inventory.held.remove(&key) {
        inventory.free += quantity;
    }
    inventory.released.insert(key);
    (StatusCode::OK, Json(json!({ "status": "released" })))
}

async fn stock(State(state): State<Arc<Mutex<Inventory>>>) -> Answer {
    let inventory = lock(&state);
    let held: u64 = inventory.held.values().sum();
    (
        StatusCode::OK,
        Json(json!({ "free": inventory.free, "held": held })),
    )
}

#[derive(Debug, Default)]
struct Shipping {
    shipments: BTreeMap<String, String>,
    refuse: u64,
    slow: u64,
}

pub async fn run_shipping(args: RoleArgs) -> Result<(), Error> {
    let app = Router::new()
        .route("/shipments", post(ship).get(shipments))
        .route("/control", post(control))
        .with_state(Arc::new(Mutex::new(Shipping::default())));
    Ok(net::serve(net::listen(args.port).await?, app).await?)
}

/// Ships under the caller's key, unless it was told to refuse or to take its time.
async fn ship(
    State(state): State<Arc<Mutex<Shipping>>>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Answer {
    let wait = {
        let mut shipping = lock(&state);
        if shipping.refuse > 0 {
            shipping.refuse -= 1;
            return (
                StatusCode::UNPROCESSABLE_ENTITY,
                Json(json!({ "code": "undeliverable" })),
            );
        }
        std::mem::take(&mut shipping.slow)
    };
    tokio::time::sleep(Duration::from_millis(wait)).await;
    let order = body["order"].as_str().unwrap_or_default().to_owned();
    let mut shipping = lock(&state);
    let number = shipping.shipments.len() + 1;
    shipping.shipments.entry(key_in(&headers)).or_insert(order);
    (
        StatusCode::CREATED,
        Json(json!({ "shipment": format!("ship_{number}") })),
    )
}

async fn shipments(State(state): State<Arc<Mutex<Shipping>>>) -> Json<Value> {
    Json(json!(lock(&state).shipments.values().collect::<Vec<_>>()))
}

/// `{"refuse": n}` refuses the next n, `{"slow_ms": n}` makes the next one slow.
async fn control(State(state): State<Arc<Mutex<Shipping>>>, Json(body): Json<Value>) -> StatusCode {
    let mut shipping = lock(&state);
    shipping.refuse = body["refuse"].as_u64().unwrap_or(0);
    shipping.slow = body["slow_ms"].as_u64().unwrap_or(0);
    StatusCode::NO_CONTENT
}
