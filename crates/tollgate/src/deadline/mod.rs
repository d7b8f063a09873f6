//! One deadline for the call and all its attempts.
//!
//! # What it prevents
//!
//! Starting what cannot finish in time, and waiting for what nobody waits for any more.
//!
//! # Smallest use
//!
//! ```
//! use std::time::Duration;
//! use tollgate::deadline::DeadlineLayer;
//! use tollgate_core::gateway::{Call, GetPayment};
//! use tollgate_core::id::PaymentId;
//! use tollgate_core::{Effect, Fault, PaymentError};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! let client = ServiceBuilder::new()
//!     .layer(DeadlineLayer::gateway(Duration::from_secs(10)))
//!     .service(service_fn(|_: Call<GetPayment>| std::future::pending::<Result<(), PaymentError>>()));
//! let late = client.oneshot(Call::new(GetPayment { payment: PaymentId::new("pay_1").unwrap() })).await.unwrap_err();
//! assert_eq!(late.code(), Some("deadline-after-send"));
//! assert_eq!(late.verdict().effect, Effect::Unknown); // the time-out says nothing about the money
//! # }
//! ```
//!
//! Over HTTP, `DeadlineLayer::http(..)` reads the caller's remaining time from `X-Request-Deadline-Ms`, in milliseconds: relative,
//! since clocks differ. The header can shorten the deadline, never extend it.
//!
//! # When it acts
//!
//! In `call`: the context's deadline becomes the earlier of its own and this layer's, so an outer layer holds the total and an inner
//! one an attempt's share. With less than the minimum left nothing is sent (`deadline-before-send`, `NotSent`). Later the inner
//! service is polled before the timer: an answer that is ready at the deadline wins, because losing it would make an unknown out
//! of a known. The timer is set only once the inner service has kept us waiting.
//!
//! # If it strikes
//!
//! The inner call is dropped, and what became of it is unknown (`deadline-after-send`). Inside the idempotency layer that is stored as
//! such; to let a charge run to its end instead, give the deadline to the gateway client and not to this layer.

mod layer;
mod remaining;
mod service;
#[cfg(test)]
mod tests;

pub use layer::DeadlineLayer;
pub use remaining::{HttpDeadline, REQUEST_DEADLINE_MS, Remaining};
pub use service::{DeadlineFuture, DeadlineService};
