//! What anybody needs to test a payments service.
//!
//! | module | what for |
//! |---|---|
//! | [`conformance`] | what every store must keep, as one test per property and port |
//! | `histories` | random histories of any store beside core's rule, shrunk when they differ (feature `histories`) |
//! | [`linear`] | what several clients of one store were told, explained by the rule in some order, or not |
//! | [`operations`] | every operation of every port with what stands before it, for tests that lose something in the middle of each |
//! | [`gateway`] | a scripted gateway with a ledger of its own: what money really moved |
//! | [`fault`] | stores that fail at a chosen operation, futures that are dropped at each await |
//! | [`growth`] | keys that come and are over, for tests of what a store still keeps of them |
//! | [`samples`] | an ordinary claim, answer and sale, for tests that are about something else |
//! | `http_conformance` | does any HTTP server honour `Idempotency-Key`? Forty cases from outside (feature `http-conformance`) |
//! | [`probe`] | services that watch how they are treated: calls, readiness, cancellation |
//! | [`RuntimeClock`] | wall-clock time that follows tokio's, paused or not |
//!
//! It depends on `tollgate-core` alone of ours, so every crate of the workspace may test itself with it, and so may a store or a
//! gateway client of your own.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod clock;
pub mod conformance;
pub mod fault;
pub mod gateway;
pub mod growth;
#[cfg(feature = "histories")]
#[cfg_attr(docsrs, doc(cfg(feature = "histories")))]
pub mod histories;
#[cfg(feature = "http-conformance")]
#[cfg_attr(docsrs, doc(cfg(feature = "http-conformance")))]
pub mod http_conformance;
pub mod linear;
pub mod operations;
pub mod probe;
pub mod samples;

pub use clock::RuntimeClock;

/// Compiles the README's examples.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
