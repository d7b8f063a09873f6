//! What agrees.

use crate::row::Row;
use serde::{Serialize, Serializer};
use std::cmp::Ordering;

/// One row, or the parts of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rows {
    One(Row),
    Several(Vec<Row>),
}

impl Rows {
    pub(crate) fn as_slice(&self) -> &[Row] {
        match self {
            Self::One(row) => std::slice::from_ref(row),
            Self::Several(rows) => rows,
        }
    }
}

impl Serialize for Rows {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_slice().serialize(serializer)
    }
}

/// By which name two rows found each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MatchedBy {
    /// The reference.
    Reference,
    /// The gateway's id, because neither side knew the other's reference.
    Payment,
}

/// Rows of both sides that agree: one against one, or one against several that add up to it exactly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Match {
    pub(crate) ledger: Rows,
    pub(crate) gateway: Rows,
    pub(crate) by: MatchedBy,
    pub(crate) repeat: bool,
}

impl Match {
    /// Our row or rows.
    #[must_use]
    pub fn ledger(&self) -> &[Row] {
        self.ledger.as_slice()
    }

    /// The gateway's row or rows.
    #[must_use]
    pub fn gateway(&self) -> &[Row] {
        self.gateway.as_slice()
    }

    /// By which name they found each other.
    #[must_use]
    pub const fn by(&self) -> MatchedBy {
        self.by
    }

    /// Whether an equal movement of the same reference was matched before it. Both sides agree that money moved
    /// twice, so it is no discrepancy; somebody may still have paid twice.
    #[must_use]
    pub const fn is_repeat(&self) -> bool {
        self.repeat
    }

    /// Ledger minus gateway in minor units: not zero only where a tolerance forgave it.
    #[must_use]
    pub fn difference(&self) -> i128 {
        let sum = |rows: &[Row]| {
            rows.iter()
                .map(|row| i128::from(row.amount.minor()))
                .sum::<i128>()
        };
        sum(self.ledger()) - sum(self.gateway())
    }

    /// The order of matches: by our rows, then by the gateway's.
    pub(crate) fn order(&self, other: &Self) -> Ordering {
        (self.ledger(), self.gateway()).cmp(&(other.ledger(), other.gateway()))
    }
}
