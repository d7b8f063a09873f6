//! Why a row could not be read.

use crate::row::Side;
use serde::Serialize;
use std::fmt;
use tollgate_core::id::InvalidText;

/// A row that could not be read: whose, where, which field, and why. Never the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, thiserror::Error)]
#[error("{side} line {line}: {field} {fault}")]
pub struct BadRow {
    /// Whose row.
    pub side: Side,
    /// Which one, as the caller counts.
    pub line: u64,
    /// Which field.
    pub field: Field,
    /// What is wrong with it.
    pub fault: Fault,
}

/// A field of a [`RawRow`](crate::RawRow).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Field {
    /// The reference.
    Reference,
    /// The amount.
    Amount,
    /// The currency.
    Currency,
    /// The status.
    Status,
    /// The time.
    At,
    /// The gateway's id.
    Payment,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reference => "reference",
            Self::Amount => "amount",
            Self::Currency => "currency",
            Self::Status => "status",
            Self::At => "time",
            Self::Payment => "payment id",
        })
    }
}

/// What is wrong with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fault {
    /// Nothing there.
    #[error("is empty")]
    Empty,
    /// More than fits.
    #[error("is too long")]
    TooLong,
    /// A character outside visible ASCII.
    #[error("holds a character that is not allowed")]
    Character,
    /// What looks like a card number.
    #[error("holds what looks like a card number")]
    CardNumber,
    /// `NaN`, `1e3`, `1,000.00`, `+5` and the like.
    #[error("is not a plain decimal number")]
    NotANumber,
    /// More digits behind the point than the currency has.
    #[error("has more digits than its currency")]
    TooPrecise,
    /// Does not fit 64 bits of minor units.
    #[error("is too large")]
    TooLarge,
    /// Not listed by ISO 4217.
    #[error("is not a currency code of ISO 4217")]
    UnknownCurrency,
    /// Not in the format of this reader.
    #[error("is not a time in the format that was set")]
    NotATime,
    /// Cannot be a status.
    #[error("is not a status word")]
    NotAWord,
}

impl From<InvalidText> for Fault {
    fn from(invalid: InvalidText) -> Self {
        match invalid {
            InvalidText::Empty { .. } => Self::Empty,
            InvalidText::TooLong { .. } => Self::TooLong,
            InvalidText::CardNumber { .. } => Self::CardNumber,
            _ => Self::Character,
        }
    }
}
