//! The merchant: what you would write.
//!
//! ```text
//!   POST /charges ──▶ [trace · timing · caller limit] ──▶ handler ──▶ [idempotency · fraud · breaker · retry · limit · timing · audit] ──▶ acquirer
//!   POST /refunds ──▶ [trace · timing · caller limit · idempotency] ──▶ handler ──▶ [breaker · retry · limit · timing · audit] ──▶ acquirer
//!   POST /orders  ──▶ [trace · timing · caller limit] ──▶ saga: reserve ▸ authorize ▸ capture ▸ ship
//!   POST /webhooks/acquirer ──▶ [webhook: signature · time · once] ──▶ handler
//! ```
//!
//! Two SQLite files: `payments.sqlite` guards charges, and only what can be looked up at the acquirer is in it, so that one resolver
//! can end every doubt there; `shop.sqlite` holds all the rest.

pub mod acquirer_client;
mod books;
mod charges;
mod log;
mod operations;
mod orders;
mod stack;

use crate::Error;
use crate::acquirer::SECRET;
use crate::args::RoleArgs;
use crate::net;
use axum::extract::State;
use axum::http::Request;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tollgate::audit::AuditLog;
use tollgate::idempotency::{Doubts, IdempotencyConfig, IdempotencyLayer, Upkeep, WhileInFlight};
use tollgate::rate_limit::{LocalLimit, RateLimitLayer};
use tollgate::timing::TimingLayer;
use tollgate::webhook::{self, Stripe, WebhookLayer};
use tollgate_core::store::quota::Quota;
use tollgate_core::{Secret, Secrets};
use tollgate_sqlite::Sqlite;
use tower::ServiceBuilder;
use tower_http::trace::TraceLayer;

/// Everything the handlers need.
pub struct Shop {
    pub secrets: Secrets,
    pub doubts: Doubts<Sqlite>,
    pub acquirer: stack::Acquirer,
    pub books: Arc<books::Books>,
    pub orders: orders::Orders,
    pub events: Mutex<Vec<String>>,
}

pub async fn run(args: RoleArgs) -> Result<(), Error> {
    log::start(&args.data.join("merchant.log"))?;
    let secrets = secrets(&args.data.join("secret.key"))?;
    let payments = Sqlite::open(args.data.join("payments.sqlite"))?;
    let shop_file = Sqlite::open(args.data.join("shop.sqlite"))?;

    let acquirer = stack::Acquirer::new(&args.acquirer, &payments, &shop_file, &secrets)?;
    let books = Arc::new(books::Books::open(&args.data.join("books.jsonl"))?);
    let orders = orders::Orders::new(&args, &acquirer, Arc::clone(&books), shop_file.clone())?;
    orders.keep_recovering();
    let guard = IdempotencyLayer::http(shop_file.clone(), secrets.clone())?.config(in_flight());
    for store in [&payments, &shop_file] {
        tokio::spawn(Upkeep::default().run(store.clone()));
    }
    tokio::spawn(webhook::Upkeep::default().run(shop_file.clone()));
    let said = AuditLog::new(shop_file.clone(), "operators", secrets.clone());
    let doubts = Doubts::new(payments, said);
    let webhooks = WebhookLayer::new(Stripe::new(&[Secret::new(SECRET.to_owned())])?, shop_file);
    let shop = Arc::new(Shop {
        secrets,
        doubts,
        acquirer,
        books,
        orders,
        events: Mutex::default(),
    });

    let caller_limit = LocalLimit::new(Quota::per_second(NonZeroU32::new(500).unwrap_or(NonZeroU32::MIN)));
    let inbound = ServiceBuilder::new()
        .layer(TraceLayer::new_for_http().make_span_with(span))
        .layer(TimingLayer::http())
        .layer(RateLimitLayer::http(caller_limit));
    let app = Router::new()
        .route("/charges", post(charges::charge))
        .route("/refunds", post(charges::refund).layer(guard.clone()))
        .route("/orders", post(orders::place))
        .route("/webhooks/acquirer", post(event).layer(webhooks))
        .route("/webhooks/processed", get(events))
        .route("/support-notes", post(operations::note))
        .route("/operations/open", get(operations::open))
        .route("/operations/resolve", post(operations::resolve))
        .route("/operations/reconcile", post(operations::reconcile))
        .layer(inbound)
        .with_state(Arc::clone(&shop));

    let listener = net::listen(args.port).await?;
    axum::serve(listener, app)
        .with_graceful_shutdown(asked_to_stop())
        .await?;
    // charges whose callers went away still run: nothing is cut, and whatever one says, the others are waited for too
    let patience = Duration::from_secs(10);
    let left = [shop.acquirer.drain(patience).await, guard.drain(patience).await];
    shop.orders.drain(patience).await;
    left.into_iter().collect::<Result<(), _>>()?;
    Ok(())
}

/// A repeat waits a little for the first one's answer.
fn in_flight() -> IdempotencyConfig {
    IdempotencyConfig::default().while_in_flight(WhileInFlight::Wait(Duration::from_secs(5)))
}

/// Paths hold identifiers, and identifiers stay out of spans.
fn span<B>(request: &Request<B>) -> tracing::Span {
    tracing::info_span!("http", method = %request.method())
}

async fn asked_to_stop() {
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => signal.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = terminated => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

/// The key that record keys, fingerprints and downstream keys are made with. It must outlive the process: under another one every
/// idempotency key is new. In production it comes from a secret store.
fn secrets(path: &Path) -> Result<Secrets, Error> {
    let key = match std::fs::read(path) {
        Ok(key) => key,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let mut key = vec![0; 32];
            std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut key)?;
            std::fs::write(path, &key)?;
            key
        }
        Err(error) => return Err(error.into()),
    };
    Ok(Secrets::new(&Secret::new(key))?)
}

/// Runs once per event, however often the acquirer sends it. This scheme signs no id of its own: the event's stands in the body, and
/// the body is what was signed.
async fn event(State(shop): State<Arc<Shop>>, Json(event): Json<Event>) -> &'static str {
    tracing::info!(event = event.id, "processing");
    shop.events
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(event.id);
    "processed"
}

#[derive(Deserialize)]
struct Event {
    id: String,
}

async fn events(State(shop): State<Arc<Shop>>) -> Json<Vec<String>> {
    Json(shop.events.lock().unwrap_or_else(PoisonError::into_inner).clone())
}
