//! What is compared: one row per movement of money, from either side.

use crate::read::BadRow;
use crate::status::Status;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::fmt;
use tollgate_core::id::{MerchantReference, PaymentId};
use tollgate_core::{Money, Timestamp};

/// Whose row it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Ours.
    Ledger,
    /// The gateway's report.
    Gateway,
}

impl Side {
    /// The stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ledger => "ledger",
            Self::Gateway => "gateway",
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One movement of money. Money that comes in is positive, money that goes back (refunds, chargebacks) negative,
/// on both sides: normalise the sign when reading.
///
/// Rows have a total order (reference, currency, amount, status, time, gateway id, line), which is what makes the
/// output independent of the order of the input.
///
/// ```
/// use tollgate_core::gateway::PaymentStatus;
/// use tollgate_core::{Timestamp, id::MerchantReference};
/// use tollgate_reconcile::Row;
///
/// let at = Timestamp::from_unix_seconds(1_700_000_000);
/// let row = Row::new(MerchantReference::new("order-4711")?, "19.99 EUR".parse()?, PaymentStatus::Captured, at).line(17);
/// assert_eq!(row.to_string(), "order-4711 19.99 EUR captured 2023-11-14T22:13:20.000000Z (line 17)");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// What both sides call it: what rows are matched by.
    pub reference: MerchantReference,
    /// How much, and in which direction.
    pub amount: Money,
    /// Where it stands.
    pub status: Status,
    /// When it happened, by the clock of its side.
    pub at: Timestamp,
    /// The gateway's id. Only asked when the other side does not know the reference at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<PaymentId>,
    /// Where it stood in its file, for people who look it up. Takes no part in any decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
}

impl Row {
    /// A row without gateway id and line number.
    #[must_use]
    pub fn new(
        reference: MerchantReference,
        amount: Money,
        status: impl Into<Status>,
        at: Timestamp,
    ) -> Self {
        Self {
            reference,
            amount,
            status: status.into(),
            at,
            payment: None,
            line: None,
        }
    }

    /// Sets the gateway's id (default: not known), the key to fall back to.
    #[must_use]
    pub fn payment(mut self, payment: PaymentId) -> Self {
        self.payment = Some(payment);
        self
    }

    /// Sets the line in its file (default: not known).
    #[must_use]
    pub const fn line(mut self, line: u64) -> Self {
        self.line = Some(line);
        self
    }

    /// Whether money comes in (zero counts as coming in). One reference may stand for one movement each way.
    pub(crate) const fn comes_in(&self) -> bool {
        self.amount.minor() >= 0
    }

    /// Whether the two say the same about the money, whenever and wherever they were written.
    pub(crate) fn repeats(&self, other: &Self) -> bool {
        self.amount == other.amount && self.status == other.status
    }
}

impl Row {
    /// Orders by what a row says about the money, then by everything else but its reference and its line.
    fn saying(&self, other: &Self) -> Ordering {
        let amount = |row: &Self| (row.amount.currency(), row.amount.minor());
        amount(self)
            .cmp(&amount(other))
            .then_with(|| self.status.cmp(&other.status))
            .then_with(|| self.at.cmp(&other.at))
            .then_with(|| self.payment.cmp(&other.payment))
    }

    /// The order of rows without their lines: equal rows are interchangeable.
    pub(crate) fn meaning(&self, other: &Self) -> Ordering {
        self.reference
            .cmp(&other.reference)
            .then_with(|| self.saying(other))
    }

    /// The order in which the rows of one group are paired. In a group with one reference it is the order of rows.
    pub(crate) fn within_group(&self, other: &Self) -> Ordering {
        self.saying(other).then_with(|| self.cmp(other))
    }
}

impl Ord for Row {
    fn cmp(&self, other: &Self) -> Ordering {
        self.meaning(other).then_with(|| self.line.cmp(&other.line))
    }
}

impl PartialOrd for Row {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} {} {}",
            self.reference, self.amount, self.status, self.at
        )?;
        match self.line {
            Some(line) => write!(f, " (line {line})"),
            None => Ok(()),
        }
    }
}

/// All rows of one side: those that could be read, and those that could not.
///
/// Collect it from rows, or from `Result<Row, BadRow>` as [`Reader::read`](crate::Reader::read) gives them: one
/// unreadable row is kept and told, and stops nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sheet {
    pub(crate) rows: Vec<Row>,
    pub(crate) unreadable: Vec<BadRow>,
}

impl Sheet {
    /// The rows that could be read.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The rows that could not.
    #[must_use]
    pub fn unreadable(&self) -> &[BadRow] {
        &self.unreadable
    }
}

impl From<Vec<Row>> for Sheet {
    fn from(rows: Vec<Row>) -> Self {
        Self {
            rows,
            unreadable: Vec::new(),
        }
    }
}

impl FromIterator<Row> for Sheet {
    fn from_iter<I: IntoIterator<Item = Row>>(rows: I) -> Self {
        rows.into_iter().collect::<Vec<_>>().into()
    }
}

impl FromIterator<Result<Row, BadRow>> for Sheet {
    fn from_iter<I: IntoIterator<Item = Result<Row, BadRow>>>(rows: I) -> Self {
        let mut sheet = Self::default();
        sheet.extend(rows);
        sheet
    }
}

impl Extend<Result<Row, BadRow>> for Sheet {
    fn extend<I: IntoIterator<Item = Result<Row, BadRow>>>(&mut self, rows: I) {
        for row in rows {
            match row {
                Ok(row) => self.rows.push(row),
                Err(bad) => self.unreadable.push(bad),
            }
        }
    }
}

impl Extend<Row> for Sheet {
    fn extend<I: IntoIterator<Item = Row>>(&mut self, rows: I) {
        self.rows.extend(rows);
    }
}
