//! The guide: why it is as it is, and what to set.
//!
//! | page | answers |
//! |---|---|
//! | [`ordering`] | which layer goes where, and what goes wrong otherwise |
//! | [`problems`] | what each code in a problem document means, and what a client does about it |
//! | [`settings`] | every default, and why |
//! | [`stores`] | which store guards what, and what each can lose |
//! | [`model`] | how the promise is proved: a model, its controls and limits, and every interleaving |
//! | [`operations`] | doubts and operators, one payment, log lines, upkeep, sealing, shutdown, deploys, crashes, audits |
//! | [`conformance`] | does a server, any server, honour `Idempotency-Key`? |
//! | [`speed`] | what a guarded call costs, beside the peers and beside each store's own ceiling |
//! | [`proof`] | what was done to it, what came of that, and what that does not prove |

#[doc = include_str!("conformance.md")]
pub mod conformance {}
#[doc = include_str!("model.md")]
pub mod model {}
// its example runs, and needs both
#[cfg_attr(all(feature = "audit", feature = "idempotency"), doc = include_str!("operations.md"))]
#[cfg_attr(
    not(all(feature = "audit", feature = "idempotency")),
    doc = "What operators do: with the features `audit` and `idempotency`."
)]
pub mod operations {}
#[doc = include_str!("ordering.md")]
pub mod ordering {}
#[doc = include_str!("problems.md")]
pub mod problems {}
#[doc = include_str!("proof.md")]
pub mod proof {}
#[doc = include_str!("settings.md")]
pub mod settings {}
#[doc = include_str!("speed.md")]
pub mod speed {}
#[doc = include_str!("stores.md")]
pub mod stores {}

#[cfg(test)]
mod tests;
