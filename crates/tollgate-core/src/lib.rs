//! The vocabulary of tollgate: what every crate of the workspace says in the same words.
//!
//! This crate holds no runtime, no driver and no layer. It answers five questions:
//!
//! | question | module |
//! |---|---|
//! | What became of the money, what may be done now, whose fault was it? | [`verdict`], [`rejection`], [`error`] |
//! | What may a layer ask of a request and of an answer? | [`protocol`], [`context`] |
//! | What is asked of a gateway, in exact amounts? | [`gateway`], [`money`], [`id`] |
//! | Who remembers, and what does it promise? | [`store`], with in-memory implementations of every port |
//! | What time is it, what is a secret, how is an answer stored? | [`clock`], [`secret`], [`tokenizer`], [`codec`] |
//!
//! # The three questions instead of one flag
//!
//! A single `retriable` flag cannot say that a charge may have happened, and that is where double charges come
//! from. Every failure here answers three questions, and everything that decides consults the same answers:
//!
//! ```
//! use tollgate_core::{Advice, Blame, Effect, Fault, PaymentError};
//!
//! let verdict = PaymentError::timeout("no answer within 10 s").verdict();
//! assert_eq!(verdict.effect, Effect::Unknown);      // it may have happened
//! assert_eq!(verdict.advice, Advice::QueryFirst);   // look before doing anything else
//! assert_eq!(verdict.blame, Blame::Gateway);        // counts against the gateway
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod clock;
pub mod codec;
pub mod context;
mod deadline;
pub mod error;
pub mod gateway;
pub mod id;
mod masked;
pub mod money;
pub mod protocol;
pub mod rejection;
pub mod secret;
pub mod store;
pub mod tokenizer;
pub mod verdict;

pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use context::{CallContext, EffectLedger, KeyInForce};
pub use deadline::Deadline;
pub use error::{PaymentError, PaymentErrorKind};
pub use id::{DownstreamKey, FreeText, IdempotencyKey};
pub use money::{Currency, Money};
pub use protocol::{Answers, Fault, Operation, Protocol, Repeats, Replays, Requests};
pub use rejection::{Rejection, RejectionKind};
pub use secret::{Secret, Secrets};
pub use verdict::{Advice, Blame, Effect, Verdict};

/// Compiles the README's examples.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
