//! What counts as agreement: pure questions about one row or one pair.

use crate::discrepancy::Class;
use crate::row::Row;
use std::collections::BTreeMap;
use std::time::Duration;
use tollgate_core::{Currency, Timestamp};

/// How far two amounts of one currency may lie apart and still agree, in minor units.
///
/// Absolute and per currency: one yen is not one cent, and a fraction of the amount would forgive most where most is
/// at stake. What is forgiven is not forgotten: see [`Match::difference`](crate::Match::difference).
///
/// ```
/// use tollgate_core::Currency;
/// use tollgate_reconcile::Tolerance;
///
/// let tolerance = Tolerance::exact().with(Currency::JPY, 1);
/// assert_eq!((tolerance.of(Currency::JPY), tolerance.of(Currency::EUR)), (1, 0));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Tolerance(BTreeMap<Currency, u64>);

impl Tolerance {
    /// No difference is forgiven.
    #[must_use]
    pub fn exact() -> Self {
        Self::default()
    }

    /// Forgives up to so many minor units in this currency (default: 0).
    #[must_use]
    pub fn with(mut self, currency: Currency, minor_units: u64) -> Self {
        self.0.insert(currency, minor_units);
        self
    }

    /// How many minor units are forgiven.
    #[must_use]
    pub fn of(&self, currency: Currency) -> u64 {
        self.0.get(&currency).copied().unwrap_or(0)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) as_of: Timestamp,
    pub(crate) window: Duration,
    pub(crate) tolerance: Tolerance,
    pub(crate) dates_within: Option<Duration>,
    pub(crate) split_rows: bool,
}

impl Rules {
    /// Whether the other side may not have heard of this row yet. A date further ahead than the window is an error
    /// of somebody's clock and excuses nothing: else such a row would be in transit for ever.
    pub(crate) fn is_young(&self, row: &Row) -> bool {
        self.as_of.saturating_sub(self.window) < row.at && row.at < self.as_of.saturating_add(self.window)
    }

    pub(crate) fn amounts_agree(&self, left: &Row, right: &Row) -> bool {
        let (left, right) = (left.amount, right.amount);
        left.currency() == right.currency()
            && left.minor().abs_diff(right.minor()) <= self.tolerance.of(left.currency())
    }

    pub(crate) fn dates_agree(&self, left: &Row, right: &Row) -> bool {
        let apart = u128::from(left.at.unix_micros().abs_diff(right.at.unix_micros()));
        self.dates_within.is_none_or(|limit| apart <= limit.as_micros())
    }

    /// Everything two rows of one movement disagree in, the gravest first.
    pub(crate) fn differences(&self, left: &Row, right: &Row) -> Vec<Class> {
        let mut found = Vec::new(); // allocates only when something differs
        if left.amount.currency() != right.amount.currency() {
            found.push(Class::CurrencyMismatch); // amounts of two currencies cannot be compared
        } else if !self.amounts_agree(left, right) {
            found.push(Class::AmountMismatch);
        }
        match (left.status.understood(), right.status.understood()) {
            (Some(left), Some(right)) if left == right => {}
            (Some(_), Some(_)) => found.push(Class::StatusMismatch),
            _ => found.push(Class::UnknownStatus),
        }
        if !self.dates_agree(left, right) {
            found.push(Class::DateMismatch);
        }
        found
    }
}
