//! Tower layers that make it safe to move money.
//!
//! Each layer stands alone, works over any `tower::Service` (axum and hyper inbound, a gateway client outbound), and
//! stacks in the order it is declared:
//!
//! ```text
//!            request ──▶                                             ◀── answer
//!   ┌─ idempotency ────── one key, at most one effect; the same answer every time ─┐
//!   │ ┌─ circuit_breaker ── a gateway that is down is not called ────────────────┐ │
//!   │ │ ┌─ retry ──────────── repeats only what is safe to repeat ─────────────┐ │ │
//!   │ │ │ ┌─ rate_limit ──────── never faster than agreed ───────────────────┐ │ │ │
//!   │ │ │ │ ┌─ timing ──────────── how long, and how it ended ─────────────┐ │ │ │ │
//!   │ │ │ │ │ ┌─ audit ───────────── intent before, outcome after ───────┐ │ │ │ │ │
//!   │ │ │ │ │ │                   gateway client                         │ │ │ │ │ │
//! ```
//!
//! | layer | feature | prevents |
//! |---|---|---|
//! | [`idempotency`] | `idempotency` | a retry, a double click or a crash charging twice |
//! | [`circuit_breaker`] | `circuit_breaker` | callers waiting on a gateway that is down |
//! | [`retry`] | `retry` | giving up too early, and repeating what may have happened |
//! | [`rate_limit`] | `rate_limit` | running into the gateway's limits; card testing |
//! | [`timing`] | `timing` | not knowing how long calls take and how they end |
//! | [`audit`] | `audit` | not knowing afterwards what was tried |
//! | [`webhook`] | `webhook` | forged, stale, lost and twice-processed events |
//! | [`fraud`] | `fraud` | charging what a rule would have stopped |
//! | [`deadline`] | `deadline` | starting what cannot finish in time |
//! | [`cache`] | `cache` | asking the same read again and again |
//!
//! [`PaymentStack`] (feature `stack`) puts the six together and makes the wrong order a compile error. The feature `seal` adds a store
//! that seals what it stores: `tollgate_core::store::idempotency::seal`.
//!
//! # Smallest use
//!
//! ```
//! # #[cfg(feature = "stack")]
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use tollgate::circuit_breaker::{Breaker, BreakerConfig, CircuitBreakerLayer};
//! use tollgate::idempotency::IdempotencyLayer;
//! use tollgate::retry::{RetryConfig, RetryLayer};
//! use tollgate_core::gateway::{Call, NewPayment, Payment, Sale};
//! use tollgate_core::id::{IdempotencyKey, InstrumentToken, MerchantReference, PaymentId};
//! use tollgate_core::{PaymentError, Secrets, store::memory::MemoryIdempotency};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! // yours speaks to a gateway, and sends it this key: one for all attempts
//! let gateway = service_fn(|call: Call<Sale>| async move {
//!     let _key = call.context.key.as_ref().map(|key| key.downstream_key("acme-pay"));
//!     Ok::<_, PaymentError>(Payment::captured(PaymentId::new("pay_1")?, call.message.payment))
//! });
//! let payments = ServiceBuilder::new() // outermost first; for real money a durable store, `IdempotencyLayer::gateway(store, secrets)?`
//!     .layer(IdempotencyLayer::dangerous_gateway(MemoryIdempotency::new(), Secrets::ephemeral()))
//!     .layer(CircuitBreakerLayer::gateway(Breaker::new(BreakerConfig::default())))
//!     .layer(RetryLayer::gateway(RetryConfig::default()))
//!     .service(gateway);
//!
//! let sale = Sale {
//!     key: IdempotencyKey::new("order-4711/pay")?,
//!     payment: NewPayment::new(
//!         "19.99 EUR".parse()?,
//!         InstrumentToken::new("tok_visa")?,
//!         MerchantReference::new("order-4711")?,
//!     ),
//! };
//! let first = payments.clone().oneshot(Call::new(sale.clone())).await?;
//! let again = payments.oneshot(Call::new(sale)).await?; // answered from the record
//! assert_eq!(first, again);
//! # Ok(()) }
//! # #[cfg(not(feature = "stack"))] fn main() {}
//! ```
//!
//! Each layer's page has its own, for gateways and for HTTP; the [`guide`] says what to set, and why.
//!
//! # Features
//!
//! None is on by default; `full` turns all on. A feature adds an API and never changes behaviour.
//!
//! # The same words everywhere
//!
//! Layers do not look at statuses and error types: a [protocol] answers for them, and its verdict says what became of
//! the money ([`Effect`]), what may be done now ([`Advice`]) and whose fault it was ([`Blame`]). Two protocols come with
//! this crate, [`Gateway`] for typed calls and [`Http`] for servers (with [`HttpClient`] for their clients); a third is
//! one `impl` away.
//!
//! [protocol]: tollgate_core::protocol
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(any(feature = "idempotency", feature = "webhook"))]
mod batches;
#[cfg(any(
    feature = "audit",
    feature = "idempotency",
    feature = "rate_limit",
    feature = "webhook"
))]
mod causes;
mod gateway;
pub mod guide;
pub mod http;
#[cfg(any(
    feature = "circuit_breaker",
    feature = "idempotency",
    feature = "retry",
    feature = "webhook"
))]
mod setters;
#[cfg(any(
    feature = "circuit_breaker",
    feature = "idempotency",
    feature = "retry",
    feature = "webhook"
))]
mod spread;

#[cfg(feature = "audit")]
pub mod audit;
#[cfg(feature = "cache")]
pub mod cache;
#[cfg(feature = "circuit_breaker")]
pub mod circuit_breaker;
#[cfg(feature = "deadline")]
pub mod deadline;
#[cfg(feature = "fraud")]
pub mod fraud;
#[cfg(feature = "idempotency")]
pub mod idempotency;
#[cfg(feature = "rate_limit")]
pub mod rate_limit;
#[cfg(feature = "retry")]
pub mod retry;
#[cfg(feature = "stack")]
pub mod stack;
#[cfg(feature = "timing")]
pub mod timing;
#[cfg(feature = "webhook")]
pub mod webhook;

pub use gateway::Gateway;
pub use http::{Http, HttpClient};
#[cfg(feature = "stack")]
pub use stack::PaymentStack;
pub use tollgate_core as core;
#[doc(no_inline)]
pub use tollgate_core::{Advice, Blame, Effect, Fault, Rejection, RejectionKind, Secrets, Verdict};

/// Compiles the README's examples.
#[cfg(all(doctest, feature = "stack"))]
#[doc = include_str!("../README.md")]
pub struct Readme;
