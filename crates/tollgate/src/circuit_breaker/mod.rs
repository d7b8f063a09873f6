//! Stops calling a gateway that is down, and probes for its return.
//!
//! # What it prevents
//!
//! Callers that wait ten seconds each for a gateway that will not answer, and a gateway that is buried under their retries when
//! it comes back.
//!
//! # Smallest use
//!
//! ```
//! use tollgate::circuit_breaker::{Breaker, BreakerConfig, CircuitBreakerLayer};
//! use tollgate_core::{PaymentError, PaymentErrorKind};
//! use tollgate_core::gateway::{Call, GetPayment, Payment};
//! use tollgate_core::id::PaymentId;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let breaker = Breaker::new(BreakerConfig::default());
//! let client = ServiceBuilder::new()
//!     .layer(CircuitBreakerLayer::gateway(breaker.clone()))
//!     .service(service_fn(|_: Call<GetPayment>| async { Err::<Payment, _>(PaymentError::timeout("10 s")) }));
//!
//! let get = || Call::new(GetPayment { payment: PaymentId::new("pay_1").unwrap() });
//! for _ in 0..5 { // five failures in a row
//!     assert_eq!(client.clone().oneshot(get()).await.unwrap_err().kind(), PaymentErrorKind::Timeout);
//! }
//! let refused = client.oneshot(get()).await.unwrap_err();
//! assert_eq!(refused.code(), Some("circuit-open")); // at once, nothing was sent
//! # }
//! ```
//!
//! Over HTTP, `CircuitBreakerLayer::http(breaker)` answers 503 with `Retry-After`. Without tower, hold a [`Breaker`] and ask it for
//! a [`Permit`].
//!
//! # The rule
//!
//! Two rules trip it, whichever comes first: a failure rate over a sliding window of time, and failures in a row (low card
//! volume never fills a window). What counts is the verdict's blame: only the network and the gateway are at fault. A decline is
//! an answer and counts as success, so five declined cards never close the shop (seed I18); our own refusals and rate limits
//! count as nothing (seed I17). It stands in [`state`], pure.
//!
//! | setting | default | why |
//! |---|---|---|
//! | window | 30 s | long enough for a few dozen card payments |
//! | failure rate | 50 % of at least 20 calls | 10 % is too jumpy for 20 calls a minute |
//! | in a row | 5 | |
//! | open for | 30 s, doubled at each re-opening up to 5 min, ±10 % | so that a fleet does not probe in step |
//! | probes | 1 at a time, 2 successes to close | a wrong probe is a real payment |
//!
//! # When it acts
//!
//! In `call`, never in `poll_ready`: an open breaker answers at once even when the inner service is not ready. The permit is taken
//! before the inner future exists and settled when the answer is there.
//!
//! # If dropped
//!
//! A call that is dropped after it was made counts as a failure if it ran at least as long as
//! [`abandoned_after`](BreakerConfig::abandoned_after) (default 5 s: a time-out further out must be seen here), and as nothing before. A
//! dropped probe frees its place. An answer that arrives after the state moved on decides nothing.

mod breaker;
mod layer;
mod service;
pub mod state;
#[cfg(test)]
mod tests;

pub use breaker::{Breaker, Permit, Snapshot};
pub use layer::CircuitBreakerLayer;
pub use service::{CircuitBreaker, CircuitBreakerFuture};
pub use state::{BreakerConfig, Phase};
