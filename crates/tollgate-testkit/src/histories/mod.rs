//! Random histories: whatever is asked of a store, in whatever order, at whatever times, and whatever its process goes through in
//! between, it answers as core's rule does, and holds the same.
//!
//! The [properties](crate::conformance) name what must hold. They find what their author thought of; a store that decides in SQL, in a
//! script or behind a cache can differ from the rule in a place that nobody thought of. Here it is walked beside the in-memory store,
//! which does nothing but ask the rule: both get the same random steps under one clock, every answer is compared, to the microsecond,
//! and after each step what they hold. A history in which they differ is shrunk to the shortest that still shows it, and printed.
//!
//! ```
//! use tollgate_core::store::memory::{MemoryDedup, MemoryIdempotency};
//! use tollgate_testkit::histories::{Histories, Plain};
//!
//! // instead of these two: a store of your own, empty, that takes its time from this clock
//! Histories::new().idempotency(async |clock| Plain(MemoryIdempotency::with(1_000, clock)));
//! Histories::new().dedup(async |clock| Plain(MemoryDedup::with(1_000, clock)));
//! ```
//!
//! As tests, one for each port that the store has:
//!
//! ```
//! use tollgate_core::store::memory::MemoryDedup;
//! use tollgate_testkit::histories::{Histories, Plain};
//!
//! tollgate_testkit::histories! {
//!     answers_as_the_rule, Histories::new(), async |clock| Plain(MemoryDedup::with(1_000, clock));
//!     dedup
//! }
//! # fn main() {}
//! ```
//!
//! A store that can be closed and opened again, that keeps a connection, an index or a cache, says so in a [`Trial`] of its own: then
//! the histories do that to it, too, and nobody may notice.
//!
//! | port | method | beside |
//! |---|---|---|
//! | idempotency records | [`Histories::idempotency`] | [`MemoryIdempotency`](tollgate_core::store::memory::MemoryIdempotency) |
//! | webhook events | [`Histories::dedup`] | [`MemoryDedup`](tollgate_core::store::memory::MemoryDedup) |
//! | quotas | [`Histories::quota`] | [`MemoryQuota`](tollgate_core::store::memory::MemoryQuota) |
//! | velocity counters | [`Histories::velocity`] | [`MemoryVelocity`](tollgate_core::store::memory::MemoryVelocity) |
//! | audit chains | [`Histories::audit`] | [`MemoryAudit`](tollgate_core::store::memory::MemoryAudit) |
//! | reconciliation carry-over | [`Histories::carry_over`] | [`MemoryCarryOver`](tollgate_core::store::memory::MemoryCarryOver) |
//! | saga journals | [`Histories::saga`] | [`MemorySaga`](tollgate_core::store::memory::MemorySaga) |
//!
//! One step follows the other here. What several clients are told who ask at once is the business of [`linear`](crate::linear), which
//! also serves stores whose time is their server's.
//!
//! This crate's own tests walk stores that are broken on purpose, and every flaw that a single client can see is found.

/// Asks both and compares their answers, which it returns.
macro_rules! both {
    ($pair:expr, $method:ident($($argument:expr),*)) => {{
        let found = $pair.trial.store().$method($($argument),*).await;
        let expected = $pair.model.$method($($argument),*).await;
        let asked = [$(format!("{:?}", $argument)),*];
        $pair.same(stringify!($method), &asked, found, expected)?
    }};
}

/// Makes a module of tests, one for each named port: give the module's name, the [`Histories`], and what makes a
/// [`Trial`] of an empty store under a clock; then the ports, by the names of the methods of [`Histories`]. The module's
/// [own page](mod@crate::histories) has an example.
///
/// [`Histories`]: crate::histories::Histories
/// [`Trial`]: crate::histories::Trial
#[macro_export]
macro_rules! histories {
    ($tests:ident, $histories:expr, $make:expr; $($port:ident),+ $(,)?) => {
        mod $tests {
            #[allow(unused_imports, reason = "what the expressions name")]
            use super::*;
            $(#[test]
            fn $port() {
                $histories.$port($make);
            })+
        }
    };
}

mod audit;
mod carry_over;
mod dedup;
mod idempotency;
mod pair;
mod quota;
mod run;
mod saga;
mod trial;
mod velocity;

pub use idempotency::record_keys;
pub use run::Histories;
pub use trial::{Plain, Trial};
