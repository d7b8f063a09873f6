//! What every store must keep, as one public function per property and one macro per port.
//!
//! A store that breaks one of these loses money in a way that its own tests rarely look for: two processes that both win one key, a
//! lease that lapses while a charge is on its way, an answer that changes after it was given. Each property is an `async fn` that
//! panics when it is violated; the macro of its port turns each into a test of its own name.
//!
//! ```
//! use tollgate_core::store::memory::MemoryIdempotency;
//! use tollgate_testkit::conformance::{Subject, idempotency, run};
//!
//! run(async {
//!     let subject = Subject::manual(|clock| MemoryIdempotency::with(1_000, clock));
//!     idempotency::an_armed_key_never_runs_again_by_time_alone(&subject).await;
//! });
//! ```
//!
//! All of them, in a test file:
//!
//! ```
//! use tollgate_core::store::memory::{MemoryDedup, MemoryIdempotency};
//! use tollgate_testkit::conformance::Subject;
//!
//! tollgate_testkit::idempotency_conformance!(records, Subject::manual(|clock| MemoryIdempotency::with(1_000, clock)));
//! tollgate_testkit::dedup_conformance!(events, Subject::manual(|clock| MemoryDedup::with(1_000, clock)));
//! # fn main() {}
//! ```
//!
//! The expression is evaluated once per try of a property ([`prove`]), in an async context (it may `.await`), and must make an *empty*
//! store.
//!
//! | port | macro | properties |
//! |---|---|---|
//! | idempotency records | [`idempotency_conformance!`](crate::idempotency_conformance) | [`idempotency`] |
//! | webhook events | [`dedup_conformance!`](crate::dedup_conformance) | [`dedup`] |
//! | quotas | [`quota_conformance!`](crate::quota_conformance) | [`quota`] |
//! | velocity counters | [`velocity_conformance!`](crate::velocity_conformance) | [`velocity`] |
//! | audit chains | [`audit_conformance!`](crate::audit_conformance) | [`audit`] |
//! | reconciliation carry-over | [`carry_over_conformance!`](crate::carry_over_conformance) | [`carry_over`] |
//! | saga journals | [`saga_conformance!`](crate::saga_conformance) | [`saga`] |
//!
//! A suite that cannot fail proves nothing: this crate's own tests run every property over stores that are broken on purpose, and
//! every property catches at least one of them.

/// The store's answer; a failing store violates every property.
macro_rules! ask {
    ($answer:expr) => {
        match $answer.await {
            Ok(answer) => answer,
            Err(error) => panic!("the store failed: {error:?}"),
        }
    };
}

/// Declares the properties of a port: the macro that makes tests of them, and the list for those who want to walk over them.
macro_rules! properties {
    ($(#[$doc:meta])* $conformance:ident, $each:ident, $module:ident: $($name:ident,)+) => {
        properties! { @with ($) $(#[$doc])* $conformance, $each, $module: $($name,)+ }
    };
    (@with ($d:tt) $(#[$doc:meta])* $conformance:ident, $each:ident, $module:ident: $($name:ident,)+) => {
        $(#[$doc])*
        #[macro_export]
        macro_rules! $conformance {
            ($d tests:ident, $d make:expr) => {
                mod $d tests {
                    #[allow(unused_imports, reason = "what the expression names")]
                    use super::*;
                    $(#[test]
                    fn $name() {
                        $crate::conformance::run($crate::conformance::prove(
                            async || $d make,
                            $crate::conformance::$module::$name,
                        ));
                    })+
                }
            };
        }

        /// Hands the names of all properties to a macro: `each!(callback)` expands to `callback! { name, name, … }`, and
        /// `each!(callback with port)` to `callback! { port: name, name, … }`.
        #[doc(hidden)]
        #[macro_export]
        macro_rules! $each {
            ($d callback:ident) => { $d callback! { $($name,)+ } };
            ($d callback:ident with port) => { $d callback! { $module: $($name,)+ } };
        }
    };
}

/// Hands the names of all properties of all ports to a macro, port by port: `callback! { idempotency: name, name, … }`, and so on.
#[doc(hidden)]
#[macro_export]
macro_rules! each_property {
    ($callback:ident) => {
        $crate::each_idempotency_property!($callback with port);
        $crate::each_dedup_property!($callback with port);
        $crate::each_quota_property!($callback with port);
        $crate::each_velocity_property!($callback with port);
        $crate::each_audit_property!($callback with port);
        $crate::each_carry_over_property!($callback with port);
        $crate::each_saga_property!($callback with port);
    };
}

pub mod audit;
pub mod carry_over;
pub mod dedup;
pub mod idempotency;
mod prove;
pub mod quota;
pub mod saga;
mod subject;
pub mod velocity;

pub use prove::{prove, run};
pub use subject::Subject;
