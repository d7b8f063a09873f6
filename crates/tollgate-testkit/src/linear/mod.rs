//! Linearizability: several clients ask a store about one record at the same time, at random, and core's pure rule must be able to
//! explain all that they were told, in one order that respects what came before what.
//!
//! This finds what [properties](crate::conformance) about races cannot name: a step that is not one step, a write that is seen and then
//! not, an answer from a copy that is behind. An answer that was lost on its way may have happened or not, but not half and not later;
//! so the store may also be killed in the middle of it, and is found out when it forgets what it had acknowledged.
//!
//! ```
//! use std::sync::Arc;
//! use tollgate_core::store::memory::MemoryIdempotency;
//! use tollgate_testkit::linear::{Ticking, explain, together};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! for seed in 0..4 {
//!     // six clients: instead of clones, six connections to an empty store of your own
//!     let store = Arc::new(MemoryIdempotency::with(100, Ticking::new()));
//!     let told = together(seed, 40, vec![store; 6]).await;
//!     assert_eq!(explain(&told), Ok(()), "seed {seed}");
//! }
//! # }
//! ```
//!
//! Clients in other processes make their [`plan`] there, [`record`](Event::record) what they are told with [`Tickets`] that all of them
//! draw from one place, and send home what [`Event`]s are made of.
//!
//! The time is the store's own. So that answers do not depend on how fast a machine is, leases here lapse at once or not at all; what
//! the store must do for that is to see a later instant in each step than in the one before. A server's clock does; a store in memory
//! can be faster than a microsecond, and takes its time from [`Ticking`].

mod expect;
mod explain;
mod op;
#[cfg(test)]
mod tests;
mod together;

pub use explain::{Unexplained, explain};
pub use op::{Op, plan};
pub use together::{Event, Tickets, Ticking, overlaps, together};
