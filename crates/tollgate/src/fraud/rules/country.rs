//! Card and bill from two countries.

use super::{Check, Rule};
use crate::fraud::decision::{Decision, Finding};
use crate::fraud::facts::Facts;

/// Fires when the card was issued in another country than the bill goes to. Says nothing when one of them is not known.
#[derive(Clone, Copy, Debug)]
pub struct CountryMismatch {
    decision: Decision,
}

impl Default for CountryMismatch {
    fn default() -> Self {
        Self {
            decision: Decision::Challenge,
        }
    }
}

impl CountryMismatch {
    /// Sets what is asked for (default: a challenge).
    #[must_use]
    pub const fn asks_for(mut self, decision: Decision) -> Self {
        self.decision = decision;
        self
    }
}

impl Rule for CountryMismatch {
    fn name(&self) -> &'static str {
        "country_mismatch"
    }

    fn check(&self, facts: &Facts) -> Check {
        Check::Now(match (facts.card_country, facts.billing_country) {
            (Some(card), Some(bill)) if card != bill => Some(Finding::new(
                self.decision,
                30,
                "card and bill come from two countries",
            )),
            _ => None,
        })
    }
}
