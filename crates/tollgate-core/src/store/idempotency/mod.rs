//! One key, at most one effect: the records behind the idempotency layer.
//!
//! ```text
//! Absent ─begin▶ Prepared ─arm▶ Armed ─settle▶ Completed (executed or declined; immutable) ─retention▶ Expired
//!                  │  └lease lapsed: may be taken over (epoch+1)
//!                  └─ settle(nothing happened) ─▶ Released (row kept: pins the fingerprint, epoch goes on)
//!                                Armed ─ time-out, panic, crash, lost lease ─▶ Unknown ─resolve(evidence)▶ Completed | Released
//! ```
//!
//! A lease can be taken over only while nothing can have happened (`Prepared`). Once `Armed`, time alone never makes a
//! key runnable again: only the owner's own proof, or evidence, does. `Armed` and `Unknown` have no expiry. So between
//! two arms of one key lies a proof that nothing happened, and safety needs no clocks.
//!
//! An open outcome is never forgotten, so a flood of them could fill a store. They are counted by [`Tenant`], and a begin may say how
//! many are too many: then that tenant's new keys are refused, before anything is sent, and nothing else is.
//!
//! The decisions stand in [`rule`], pure; stores differ only in how they make a change atomic. [`IdempotencyStore`] is what a store
//! must be able to do.

mod boxed;
mod names;
mod port;
mod questions;
mod record;
pub mod rule;
#[cfg(feature = "seal")]
pub mod seal;
#[cfg(test)]
mod tests;

pub use boxed::BoxedIdempotencyStore;
pub use names::{Fingerprint, Owner, RecordKey, Tenant, Token};
pub use port::IdempotencyStore;
pub use questions::{Begin, Begun, Held, Resolution, Resolve, Resolved, Settled, Settlement};
pub use record::{Completion, Doubt, Envelope, Evidence, Phase, Record, Unresolved};
