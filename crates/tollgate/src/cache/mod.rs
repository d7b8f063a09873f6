//! Reads only, single flight.
//!
//! # What it prevents
//!
//! Asking the same read again and again: exchange rates, BIN lookups, the status of a payment that a page polls. And a stampede when
//! an entry runs out: of all callers that ask at once, one goes, the others take its answer (seed D12d: 20 of 20 went).
//!
//! It is no idempotency layer: it forgets. An operation that moves money is never answered from it, whatever its key function says.
//!
//! # Smallest use
//!
//! ```
//! use std::time::Duration;
//! use tollgate::cache::{CacheKey, CacheLayer};
//! use tollgate_core::gateway::{Call, GetPayment, Payment};
//! use tollgate_core::id::{CallerId, PaymentId};
//! use tollgate_core::PaymentError;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let asked = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
//! let counter = asked.clone();
//! let shop = CallerId::new("shop-1")?;
//! let client = ServiceBuilder::new()
//!     .layer(CacheLayer::gateway(Duration::from_secs(2), move |call: &Call<GetPayment>| {
//!         Some(CacheKey::of(&shop, call.message.payment.as_str()))
//!     }))
//!     .service(service_fn(move |_: Call<GetPayment>| {
//!         counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
//!         async { Ok::<_, PaymentError>("captured") }
//!     }));
//!
//! for _ in 0..3 {
//!     let get = Call::new(GetPayment { payment: PaymentId::new("pay_1")? });
//!     assert_eq!(client.clone().oneshot(get).await?, "captured");
//! }
//! assert_eq!(asked.load(std::sync::atomic::Ordering::Relaxed), 1);
//! # Ok(()) }
//! ```
//!
//! Over HTTP, `CacheLayer::http(ttl, |request| ..)` keeps answers to plain GETs (no ranges, no conditions) with a known length of up to
//! [1 MiB](CacheLayer::largest_body), and none that sets a cookie or says `Vary: *` or `Cache-Control: no-store`, `no-cache`,
//! `max-age=0` or `private`. What else an answer varies by, the caller first of all, belongs into the key.
//!
//! # The rule
//!
//! | setting | default | why |
//! |---|---|---|
//! | time to live | none: it must be given | nobody else knows how old an answer may be |
//! | entries | 1,000 | bounded; the one that runs out first makes room |
//! | stale if error | off | an old answer beats none only where you say so |
//!
//! Only an answer that says *executed* is kept; an error goes to those who waited for it and is forgotten. The key carries the tenant
//! ([`CacheKey::of`]), or says in so many words that there is none ([`CacheKey::shared`]), and is compared whole (seed D12c: a key
//! by its printed form returned another user's value). An empty answer is an answer (seed D12).
//!
//! # When it acts
//!
//! In `call`. A hit makes no call, no task and no allocation beyond the answer's copy. A miss runs in a task of its own, on behalf of
//! everybody who waits.
//!
//! # If dropped
//!
//! Nothing is lost: the read goes on for the others and fills the entry. A caller that gives up does not take the others with it. So a
//! read that never ends is never over, and whoever asks under its key waits with it: put a deadline inside this layer.

mod key;
mod layer;
mod service;
mod share;
mod table;
#[cfg(test)]
mod tests;

pub use key::CacheKey;
pub use layer::CacheLayer;
pub use service::{Cache, CacheFuture};
pub use share::{KeptResponse, Shares, Sharing};
