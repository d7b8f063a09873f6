//! The rules that come with the engine, and how to write another.
//!
//! | rule | fires when | asks for | score |
//! |---|---|---|---|
//! | [`CardChecks`] | the security code does not match | block | 100 |
//! | | neither address nor postal code matches | block | 80 |
//! | | one of the two matches | challenge | 20 |
//! | [`CountryMismatch`] | card and bill come from two countries | challenge | 30 |
//! | [`HighAmount`] | the amount reaches its currency's threshold | challenge | 15 |
//! | | its currency has no threshold | review | 15 |
//! | [`Blocklist`] | mailbox, domain, address or instrument is listed | block | 100 |
//! | [`Velocity`] | more than so many in a window | block | 70 |
//!
//! "Not checked" is no mismatch: an address check that was not made says nothing.
//!
//! A rule of your own is a closure ([`rule_fn`]) or an implementation of [`Rule`], which may answer later
//! ([`Check::Later`]): ask a service, a model, a database.

mod blocklist;
mod card_checks;
mod country;
mod high_amount;
mod velocity;

pub use blocklist::{Blocklist, Network, NotANetwork};
pub use card_checks::CardChecks;
pub use country::CountryMismatch;
pub use high_amount::HighAmount;
pub use velocity::Velocity;

use super::decision::{Decision, Finding};
use super::facts::Facts;
use std::error::Error;
use std::fmt;
use std::pin::Pin;

/// Why a rule could not say anything.
pub type RuleFailure = Box<dyn Error + Send + Sync>;

/// An answer that takes its time.
pub type Later = Pin<Box<dyn Future<Output = Result<Option<Finding>, RuleFailure>> + Send>>;

/// A rule's answer.
pub enum Check {
    /// At once. `None`: no opinion.
    Now(Option<Finding>),
    /// Later.
    Later(Later),
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now(finding) => f.debug_tuple("Now").field(finding).finish(),
            Self::Later(_) => f.write_str("Later(..)"),
        }
    }
}

/// Looks at one payment.
pub trait Rule: Send + Sync + 'static {
    /// Its name: a metric label, unique in its engine.
    fn name(&self) -> &'static str;

    /// What it finds.
    fn check(&self, facts: &Facts) -> Check;

    /// What is asked for when it fails or panics. Nothing was sent yet, so the default is to hold the payment for review;
    /// [`Decision::Approve`] lets payments through while the rule is broken.
    fn on_failure(&self) -> Decision {
        Decision::Review
    }
}

/// A rule from a closure.
///
/// ```
/// use tollgate::fraud::{Decision, Engine, Facts, Finding, rule_fn};
///
/// let engine = Engine::builder()
///     .rule(rule_fn("first-purchase", |facts: &Facts| {
///         facts.customer.is_none().then(|| Finding::new(Decision::Approve, 10, "an unknown customer"))
///     }))
///     .build()?;
/// assert_eq!(engine.rules().collect::<Vec<_>>(), ["first-purchase"]);
/// # Ok::<(), tollgate::fraud::DuplicateRule>(())
/// ```
pub fn rule_fn<F>(name: &'static str, check: F) -> RuleFn<F>
where
    F: Fn(&Facts) -> Option<Finding> + Send + Sync + 'static,
{
    RuleFn { name, check }
}

/// What [`rule_fn`] makes.
#[derive(Clone, Copy)]
pub struct RuleFn<F> {
    name: &'static str,
    check: F,
}

impl<F> fmt::Debug for RuleFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuleFn")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl<F> Rule for RuleFn<F>
where
    F: Fn(&Facts) -> Option<Finding> + Send + Sync + 'static,
{
    fn name(&self) -> &'static str {
        self.name
    }

    fn check(&self, facts: &Facts) -> Check {
        Check::Now((self.check)(facts))
    }
}
