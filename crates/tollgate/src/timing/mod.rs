//! How long calls take, and how they end.
//!
//! # What it prevents
//!
//! Not knowing. Calls are measured when they end **and when they are dropped**: a client that hangs up after thirty seconds is the
//! slow call one needs to see (tower-http's trace reports nothing then).
//!
//! # Smallest use
//!
//! ```
//! use tollgate::timing::{Ending, TimingLayer};
//! use tollgate_core::PaymentError;
//! use tollgate_core::gateway::{Call, GetPayment};
//! use tollgate_core::id::PaymentId;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let timing = TimingLayer::gateway();
//! let client = ServiceBuilder::new()
//!     .layer(timing.clone())
//!     .service(service_fn(|_: Call<GetPayment>| async { Ok::<_, PaymentError>("captured") }));
//! client.oneshot(Call::new(GetPayment { payment: PaymentId::new("pay_1").unwrap() })).await.unwrap();
//!
//! let latency = &timing.timings().snapshot()[0];
//! assert_eq!((latency.operation.as_str(), latency.ending, latency.count), ("get_payment", Ending::Executed, 1));
//! # }
//! ```
//!
//! Over HTTP, `TimingLayer::http()`. The operation is the route's template if somebody put a [`RouteName`](crate::http::RouteName)
//! into the extensions, else the method: labels must stay bounded.
//!
//! # When it acts
//!
//! From `call` to the answer, or to the drop; for HTTP until the response's head is there. A [`Recorder`] of your own hears of every
//! call; one that panics is contained, because an exporter's failure must never change an answer (seed Y1: a metrics error turned a
//! successful charge into an error, and the retry charged again).
//!
//! Put it outside retry to time calls, inside to time attempts.

mod histogram;
mod layer;
mod recorder;
mod service;
#[cfg(test)]
mod tests;

pub use histogram::{Ending, Latency, Timings};
pub use layer::TimingLayer;
pub use recorder::{Measured, Recorder};
pub use service::{Timing, TimingFuture};
