//! Never faster than agreed.
//!
//! # What it prevents
//!
//! Outbound: running into the gateway's limits, which costs more than waiting a moment. Inbound: one caller using up everybody's
//! share, and card testing. A single global limit does not stop card testing, it lets the attacker lock out everybody else: use
//! keys (card token, address block, merchant).
//!
//! # Smallest use
//!
//! ```
//! use std::num::NonZeroU32;
//! use tollgate::rate_limit::{LocalLimit, RateLimitLayer};
//! use tollgate_core::gateway::{Call, GetPayment};
//! use tollgate_core::id::PaymentId;
//! use tollgate_core::{PaymentError, store::quota::Quota};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! let quota = Quota::per_second(NonZeroU32::new(2).unwrap());
//! let client = ServiceBuilder::new()
//!     .layer(RateLimitLayer::gateway(LocalLimit::new(quota)))
//!     .service(service_fn(|_: Call<GetPayment>| async { Ok::<_, PaymentError>("captured") }));
//! let get = || Call::new(GetPayment { payment: PaymentId::new("pay_1").unwrap() });
//! assert!(client.clone().oneshot(get()).await.is_ok());
//! assert!(client.clone().oneshot(get()).await.is_ok());
//! let refused = client.oneshot(get()).await.unwrap_err();
//! assert_eq!(refused.code(), Some("rate-limited"));
//! assert!(refused.rejection().unwrap().retry_after().is_some()); // exactly when a unit is free again
//! # }
//! ```
//!
//! Over HTTP, `RateLimitLayer::http(limit)` answers 429 with `Retry-After`, whole seconds rounded up, never 0. Keyed, over a store
//! that several processes share:
//!
//! ```
//! use std::num::NonZeroU32;
//! use tollgate::rate_limit::{RateLimitLayer, StoredLimit};
//! use tollgate_core::{Secrets, store::memory::MemoryQuota, store::quota::Quota};
//!
//! let per_merchant = Quota::per_minute(NonZeroU32::new(600).unwrap());
//! let limit = StoredLimit::new(MemoryQuota::new(), per_merchant, "merchant", Secrets::ephemeral());
//! let layer = RateLimitLayer::http(limit)
//!     .keyed(|request: &http::Request<()>| Some(request.headers().get("x-merchant")?.to_str().ok()?.to_owned()));
//! # let _ = layer;
//! ```
//!
//! # When it acts
//!
//! In `call`. A refusal happens before anything is sent (`NotSent`). With [`wait_at_most`](RateLimitLayer::wait_at_most) a call waits
//! when a unit is free soon enough, and is refused at once when it is not, or when the call's deadline comes first; it never sleeps
//! first and refuses then.
//!
//! # If dropped
//!
//! While it waits: nothing was sent; the unit it waited for was not taken. Later the call is dropped with it.
//!
//! The rule is the generic cell rate algorithm, in [`tollgate_core::store::quota::rule`].

mod key;
mod layer;
mod limit;
mod service;
#[cfg(test)]
mod tests;

pub use key::{KeyFrom, KeyedBy, Unkeyed};
pub use layer::RateLimitLayer;
pub use limit::{Asked, Limit, LocalLimit, PerKey, Refused, StoreDown, StoredLimit, StoredLimitFuture};
pub use service::{RateLimit, RateLimitFuture};
