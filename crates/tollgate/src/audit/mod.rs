//! Intent before the send, outcome after, in a chain that cannot be changed unnoticed.
//!
//! # What it prevents
//!
//! Not knowing afterwards what was tried. Before anything leaves, the intent stands in the log; when a process dies in between, the
//! lone intent says exactly that.
//!
//! # Smallest use
//!
//! ```
//! use tollgate::audit::{AuditLayer, AuditLog};
//! use tollgate_core::gateway::{Call, Capture};
//! use tollgate_core::id::{IdempotencyKey, PaymentId};
//! use tollgate_core::store::audit::{AuditStore, Receipt, chain};
//! use tollgate_core::store::memory::MemoryAudit;
//! use tollgate_core::{PaymentError, Secrets};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let store = MemoryAudit::new();
//! let client = ServiceBuilder::new()
//!     .layer(AuditLayer::gateway(AuditLog::new(store.clone(), "payments", Secrets::ephemeral())))
//!     .service(service_fn(|_: Call<Capture>| async { Ok::<_, PaymentError>("captured") }));
//! let capture = Capture {
//!     key: IdempotencyKey::new("order-1/capture").unwrap(), payment: PaymentId::new("pay_1").unwrap(), amount: None,
//! };
//! client.oneshot(Call::new(capture)).await.unwrap();
//!
//! let entries = store.read("payments", 0, 10).await.unwrap();
//! let text: Vec<_> = entries.iter().map(|entry| String::from_utf8_lossy(&entry.body)).collect();
//! assert!(text[0].contains(r#""kind":"intent""#) && text[0].contains(r#""operation":"capture""#));
//! assert!(text[1].contains(r#""kind":"outcome""#) && text[1].contains(r#""effect":"executed""#));
//! assert!(chain::verify("payments", Receipt::START, &entries, None).is_ok());
//! # }
//! ```
//!
//! # What an entry holds
//!
//! One JSON object: `v`, `kind` (`intent`, `outcome`, `abandoned`), `call` (joins intent and outcome), `attempt`, `operation`, `caller` (a
//! keyed pseudonym), `record` and `epoch` (under which claim of an idempotency layer), and for an outcome `effect`, `advice`, `blame`,
//! `took_us`. No bodies, no keys, no instruments, no card data. What operators and resolvers say about open keys goes to the same chain
//! (`operation` is `resolve`), with a `resolution`: record, epoch, who, why, what, and what became of it. The record joins the attempts
//! of a payment, its repeats, and what was said about it.
//!
//! # When it acts
//!
//! Operations that can move money are logged; reads only when [`reads`](AuditLayer::reads) says so. The intent is awaited before the
//! inner call is made, and when the log does not take it **nothing is sent** (`audit-unavailable`). The outcome is awaited too, but its
//! failure never changes the answer: writing goes on in the background, and is counted.
//!
//! # If dropped
//!
//! Between intent and outcome, an `abandoned` entry is written in a task. Without a runtime the lone intent is what tells. Before the
//! process ends, call [`AuditLog::drain`]: it waits for what is written in tasks.

mod entry;
mod layer;
mod log;
mod open;
mod service;
#[cfg(test)]
mod tests;

pub use entry::{Entry, Kind, Resolution};
pub use layer::AuditLayer;
pub use log::{AuditLog, StillWriting};
#[cfg(feature = "idempotency")]
pub(crate) use open::Open;
pub use service::{Audit, AuditFuture};
