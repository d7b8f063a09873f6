//! Rules and velocity before money moves.
//!
//! # What it prevents
//!
//! Charging what a rule would have stopped: a listed buyer, a card tried fifty times in a minute, an amount nobody ever pays here.
//!
//! # Smallest use
//!
//! ```
//! use tollgate::fraud::{Blocklist, CountryMismatch, Engine, Facts, FraudLayer, HighAmount};
//! use tollgate_core::gateway::{Call, NewPayment, Payment, Sale};
//! use tollgate_core::id::{CustomerId, InstrumentToken, MerchantReference};
//! use tollgate_core::{IdempotencyKey, PaymentError};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let engine = Engine::builder()
//!     .rule(Blocklist::default().customers([CustomerId::new("cus_eve")?]))
//!     .rule(CountryMismatch::default())
//!     .rule(HighAmount::new(["2000.00 EUR".parse()?, "2000.00 USD".parse()?]))
//!     .build()?;
//! let gateway = ServiceBuilder::new()
//!     .layer(FraudLayer::sales(engine))
//!     .service(service_fn(|_: Call<Sale>| async { Err::<Payment, _>(PaymentError::timeout("never reached")) }));
//!
//! let sale = Sale {
//!     key: IdempotencyKey::new("order-1/pay")?,
//!     payment: NewPayment::new("9.99 EUR".parse()?, InstrumentToken::new("tok_1")?, MerchantReference::new("order-1")?)
//!         .customer(CustomerId::new("cus_eve")?),
//! };
//! let refused = gateway.oneshot(Call::new(sale)).await.unwrap_err();
//! assert_eq!(refused.code(), Some("fraud-blocked")); // nothing was sent
//! # Ok(()) }
//! ```
//!
//! Over HTTP, `FraudLayer::http(engine, |request| ..)` takes the facts from headers and extensions and answers 402 (blocked or to be
//! challenged) or 403 (held for review). Without tower, [`Engine::screen`] answers the question anywhere: after an
//! authorization, ask once more with what address and code check said, and void what is blocked.
//!
//! # The rule
//!
//! Rules are asked in the order they were added. The most severe finding decides, `Approve < Review < Challenge < Block`; the first
//! block ends it. Scores add up, and at [50](EngineBuilder::review_at) a person looks. A challenge does not swallow a review
//! (seed F8): [`Screening::review_waits`] says that one is still due, and a screening of an
//! [authenticated](Facts::authenticated) payment asks for it.
//!
//! A rule that fails or panics asks for a review (seed F9), unless it [says otherwise](Rule::on_failure). A rule
//! [in shadow](EngineBuilder::shadow) is asked and told and decides nothing. The refusal that a caller sees never names the rule;
//! the log does (`fraud rule fired`, with rule, decision, score and reason, and without personal data).
//!
//! # Order
//!
//! Inside the idempotency layer, so that a replay is not screened and counted again; outside retry, so that attempts are not.
//!
//! # When it acts
//!
//! In `call`, for operations that move money; others pass. Rules that need no store decide there and then, without a clone.
//!
//! # If dropped
//!
//! Before the inner call is made: nothing was sent; what a velocity rule counted stays counted.

mod decision;
mod engine;
mod facts;
mod layer;
pub mod rules;
mod service;
#[cfg(test)]
mod tests;

pub use decision::{Decision, Finding, OnReview, Screening, Verdict};
pub use engine::{DuplicateRule, Engine, EngineBuilder, Screen};
pub use facts::{Country, Facts, Mailbox, NotACountry};
pub use layer::FraudLayer;
pub use rules::{
    Blocklist, CardChecks, Check, CountryMismatch, HighAmount, Network, NotANetwork, Rule, Velocity, rule_fn,
};
pub use service::{Fraud, FraudFuture};
