//! The error of a typed payment call.
//!
//! Opaque, with public questions: [`kind`](PaymentError::kind) for people and metrics,
//! [`verdict`](crate::Fault::verdict) for everything that decides. It has a stored form, so that a replayed decline
//! is the same error value, challenge and all (the seed replayed every failure as a bare base error).

mod fault;
mod kind;
mod payment;
mod recorded;

pub use kind::PaymentErrorKind;
pub use payment::{Challenge, PaymentError};
