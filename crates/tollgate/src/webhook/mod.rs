//! Signed, fresh, and processed once.
//!
//! # What it prevents
//!
//! Forged events (anybody can post to a public address), replayed ones, events that are processed twice, and events that are lost
//! because they were marked as seen before they were processed.
//!
//! # Smallest use
//!
//! ```
//! use axum::{Extension, Router, body::Body, http::{Request, StatusCode}, routing::post};
//! use tollgate::webhook::{StandardWebhooks, VerifiedEvent, WebhookLayer};
//! use tollgate_core::store::memory::MemoryDedup;
//! use tollgate_core::{Clock, Secret, SystemClock};
//! use tower::ServiceExt;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let scheme = StandardWebhooks::new(&[Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into())])?;
//! let now = SystemClock.now();
//! let headers = scheme.sign("msg_1", now, br#"{"type":"payment.captured"}"#); // what the sender does
//!
//! async fn handle(Extension(event): Extension<VerifiedEvent>) -> String {
//!     event.id.unwrap_or_default()
//! }
//! let layer = WebhookLayer::new(scheme, MemoryDedup::new());
//! let app: Router = Router::new().route("/webhooks", post(handle)).layer(layer);
//!
//! let delivery = || {
//!     let mut request = Request::post("/webhooks").body(Body::from(r#"{"type":"payment.captured"}"#)).unwrap();
//!     request.headers_mut().extend(headers.clone());
//!     request
//! };
//! assert_eq!(app.clone().oneshot(delivery()).await?.status(), StatusCode::OK);
//! let again = app.clone().oneshot(delivery()).await?;
//! assert_eq!(again.headers()["webhook-duplicate"], "true");          // acknowledged, not processed again
//!
//! let forged = Request::post("/webhooks").body(Body::from("{}"))?;
//! assert_eq!(app.oneshot(forged).await?.status(), StatusCode::BAD_REQUEST);
//! # Ok(()) }
//! ```
//!
//! # Schemes
//!
//! [`Stripe`] (`Stripe-Signature`) and [`StandardWebhooks`] (`webhook-id`, `-timestamp`, `-signature`, also Svix). Both secrets start
//! with `whsec_` and mean different bytes by it: Stripe keys with the whole text, Standard Webhooks with what is behind it, decoded.
//! A [`Scheme`] of your own is two pure functions. Each takes several secrets, so that either side can rotate first.
//!
//! # When it acts
//!
//! 1. The raw body is read under a limit (1 MiB). Put no decompression outside this layer: it changes the signed bytes.
//! 2. Every presented signature is compared with every secret's, in constant time and without an early exit. **Only then** is the
//!    timestamp looked at (300 s in both directions): a stranger learns nothing about our clock (seed W8).
//! 3. The event is claimed, under endpoint, scheme and signed id. A duplicate is acknowledged with 200; one that another delivery is
//!    processing gets 409 with `Retry-After`, never a 2xx: should that delivery die, the provider must come back.
//! 4. The handler runs in a task of its own, with the same bytes and a [`VerifiedEvent`] in the extensions. A 2xx commits the event;
//!    anything else releases it, and the provider's retry is processed.
//!
//! # If dropped
//!
//! Before the claim nothing has happened. After it the handler goes on in its task and the event is settled. A process that dies in
//! between leaves a claim whose lease lapses (default 60 s), and the redelivery is processed: no event is lost.
//!
//! # Who looks after it
//!
//! A processed event is remembered for its retention (default 35 days) and then has to be forgotten, and nothing here does so by itself:
//! spawn [`Upkeep::run`] once per store, in any number of processes, from the first day on. Nothing depends on it for safety, as an event
//! whose retention is over counts as new whether its row is there or not. But where nobody runs it, a row stays for every event that ever
//! came: SQLite and PostgreSQL fill their disks, and Redis, which lets the events themselves go, its memory with the index to them. Only
//! [`MemoryDedup`](tollgate_core::store::memory::MemoryDedup) makes room by itself, once it is full.
//!
//! ```
//! use tollgate::webhook::Upkeep;
//! # use tollgate_core::store::memory::MemoryDedup;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! # let store = MemoryDedup::new();
//! let upkeep = tokio::spawn(Upkeep::default().run(store.clone())); // the store that the layer has
//! # let _ = store;
//! // at shutdown, whenever it suits: what is left is for the next pass, of whichever process
//! upkeep.abort();
//! # }
//! ```

mod config;
mod layer;
mod scheme;
mod service;
#[cfg(test)]
mod tests;
mod upkeep;

pub use config::WebhookConfig;
pub use layer::WebhookLayer;
pub use scheme::{Scheme, Signed, StandardWebhooks, Stripe, UnusableSecret, window};
pub use service::{VerifiedEvent, WEBHOOK_DUPLICATE, Webhook, WebhookFuture};
pub use upkeep::{Upkeep, UpkeepPass};
