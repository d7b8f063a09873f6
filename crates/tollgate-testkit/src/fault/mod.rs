//! Makes things fail at a chosen place, so that a test can go through all places.
//!
//! Two kinds of failure break payment code that is otherwise right: a store whose answer is lost after it wrote, and a future that is
//! dropped between two of its steps. Neither is found by an example; both are found by trying every place.
//!
//! ```
//! use tollgate_core::store::audit::{AuditStore, Receipt};
//! use tollgate_core::store::memory::MemoryAudit;
//! use tollgate_testkit::fault::{Faulty, When};
//!
//! /// The code under test: appends once, whatever happens.
//! async fn append_once(store: &impl AuditStore) {
//!     while let Err(error) = store.append("payments", b"charged"[..].into()).await {
//!         if error.may_have_happened() && store.head("payments").await.is_ok_and(|head| head != Receipt::START) {
//!             return;
//!         }
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! for when in When::ALL {
//!     let store = Faulty::new(MemoryAudit::new()).failing(0, when);
//!     append_once(&store).await;
//!     assert_eq!(store.inner().head("payments").await.unwrap().seq, 1, "{when:?}");
//! }
//! # }
//! ```
//!
//! Where it is not an error but an answer that is late, a panic, or a question that arrives when nobody counts on it any more, a plan
//! takes any [`Fault`]. And [`cancel_at_each_await`] runs a future again and again, dropping it one step later each time.

mod breaking;
mod cancel;
mod plan;
mod store;

pub use breaking::Breaking;
pub use cancel::{cancel_after, cancel_at_each_await};
pub use plan::{Fault, When};
pub use store::Faulty;
