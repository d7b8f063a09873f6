//! A row before it is understood.

use serde::Deserialize;
use std::fmt;

/// A row as text. `Debug` shows the lengths of the fields only: unread text can hold anything.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawRow {
    /// What both sides call the movement.
    pub reference: String,
    /// How much, as the [`Reader`](crate::Reader) is told.
    pub amount: String,
    /// The code of ISO 4217, in either case.
    pub currency: String,
    /// The side's own word.
    pub status: String,
    /// When, as the reader is told.
    pub at: String,
    /// The gateway's id; empty is none.
    #[serde(default)]
    pub payment: String,
}

impl RawRow {
    /// A row without the gateway's id.
    #[must_use]
    pub fn new(reference: &str, amount: &str, currency: &str, status: &str, at: &str) -> Self {
        Self {
            reference: reference.into(),
            amount: amount.into(),
            currency: currency.into(),
            status: status.into(),
            at: at.into(),
            payment: String::new(),
        }
    }

    /// Sets the gateway's id (default: none).
    #[must_use]
    pub fn payment(mut self, payment: &str) -> Self {
        self.payment = payment.into();
        self
    }
}

impl fmt::Debug for RawRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lengths = [
            &self.reference,
            &self.amount,
            &self.currency,
            &self.status,
            &self.at,
            &self.payment,
        ]
        .map(String::len);
        write!(f, "RawRow({lengths:?} bytes)")
    }
}
