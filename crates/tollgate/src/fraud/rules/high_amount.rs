//! Large amounts, each currency by its own threshold.

use super::{Check, Rule};
use crate::fraud::decision::{Decision, Finding};
use crate::fraud::facts::Facts;
use std::collections::HashMap;
use tollgate_core::{Currency, Money};

/// Fires at and above a threshold per currency. A currency without a threshold is looked at by a person: leaving a currency out must
/// not switch the rule off for it (seed F5: a billion euros passed a rule for dollars).
#[derive(Clone, Debug)]
pub struct HighAmount {
    thresholds: HashMap<Currency, i64>,
    decision: Decision,
    other_currencies: Decision,
}

impl HighAmount {
    /// With these thresholds. Of two in one currency the lower counts.
    #[must_use]
    pub fn new(thresholds: impl IntoIterator<Item = Money>) -> Self {
        let mut by_currency = HashMap::new();
        for threshold in thresholds {
            by_currency
                .entry(threshold.currency())
                .and_modify(|lower: &mut i64| *lower = threshold.minor().min(*lower))
                .or_insert(threshold.minor());
        }
        Self {
            thresholds: by_currency,
            decision: Decision::Challenge,
            other_currencies: Decision::Review,
        }
    }

    /// Sets what is asked for at and above a threshold (default: a challenge).
    #[must_use]
    pub const fn asks_for(mut self, decision: Decision) -> Self {
        self.decision = decision;
        self
    }

    /// Sets what is asked for in a currency without a threshold (default: a review).
    #[must_use]
    pub const fn other_currencies(mut self, decision: Decision) -> Self {
        self.other_currencies = decision;
        self
    }
}

impl Rule for HighAmount {
    fn name(&self) -> &'static str {
        "high_amount"
    }

    fn check(&self, facts: &Facts) -> Check {
        let Some(amount) = facts.amount else {
            return Check::Now(None);
        };
        Check::Now(match self.thresholds.get(&amount.currency()) {
            Some(threshold) if amount.minor() >= *threshold => {
                Some(Finding::new(self.decision, 15, "the amount is high"))
            }
            Some(_) => None,
            None => Some(Finding::new(
                self.other_currencies,
                15,
                "no threshold is set for this currency",
            )),
        })
    }
}
