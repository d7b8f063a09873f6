//! Repeats only what is safe to repeat.
//!
//! # What it prevents
//!
//! Giving up on a charge that never left this process, and repeating one that may have happened. The seed of this project said a
//! retry under the idempotency layer is safe because the second attempt meets the same record; it does not: the record sits
//! outside, and the second attempt goes straight to the gateway (seed I5: three bookings in one call). It is safe only if the
//! *gateway* sees the same key on every attempt. So:
//!
//! | what became of the attempt | repeated |
//! |---|---|
//! | `NotSent`, `TurnedAway`, and the advice is *same key* | yes |
//! | `Unknown`, a read | yes |
//! | `Unknown`, the adapter took the downstream key ([`KeyInForce::is_taken`]) | yes, under that key |
//! | `Unknown`, no downstream key | **no**: the answer passes through, the refusal is counted |
//! | `Declined`, `Executed` | never |
//!
//! A misordered stack costs a retry, never a second charge.
//!
//! [`KeyInForce::is_taken`]: tollgate_core::KeyInForce::is_taken
//!
//! # Smallest use
//!
//! ```
//! use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
//! use tollgate::retry::{RetryConfig, RetryLayer};
//! use tollgate_core::PaymentError;
//! use tollgate_core::gateway::{Call, GetPayment};
//! use tollgate_core::id::PaymentId;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! static ATTEMPTS: AtomicU32 = AtomicU32::new(0);
//! let client = ServiceBuilder::new()
//!     .layer(RetryLayer::gateway(RetryConfig::default()))
//!     .service(service_fn(|_: Call<GetPayment>| async {
//!         match ATTEMPTS.fetch_add(1, SeqCst) {
//!             0 | 1 => Err(PaymentError::not_connected("connection refused")),
//!             _ => Ok("captured"),
//!         }
//!     }));
//! let get = Call::new(GetPayment { payment: PaymentId::new("pay_1").unwrap() });
//! assert_eq!(client.oneshot(get).await.unwrap(), "captured");
//! assert_eq!(ATTEMPTS.load(SeqCst), 3);
//! # }
//! ```
//!
//! For HTTP clients, `RetryLayer::http_client(config)`; the request's body must be `Clone`, so buffer it first. As a policy for
//! `tower::retry::Retry` of your own: [`RetryPolicy`].
//!
//! # When it acts
//!
//! After each attempt, by the verdict ([`decide`](rule::decide), pure). Waits are full-jitter exponential (Brooker 2015): between
//! nothing and base, twice base, four times base, up to the cap. A `Retry-After` is waited for in full, or, over its cap, the answer
//! is passed on at once. A shared [budget](RetryBudget) keeps retries from multiplying an outage. No attempt starts when the call's
//! deadline leaves too little time for one. `tower::retry` re-acquires readiness before each attempt; should the service have died
//! meanwhile, its error is the answer.
//!
//! # If dropped
//!
//! The attempt that runs is dropped with it. Under the idempotency layer that does not happen: the whole call goes on in a task.

mod budget;
mod layer;
mod policy;
pub mod rule;
#[cfg(test)]
mod tests;

pub use budget::RetryBudget;
pub use layer::{Retry, RetryLayer};
pub use policy::{RetryPolicy, RetryStats};
pub use rule::RetryConfig;
