//! What can be wrong, and how one finding is named.

use crate::row::{Row, Side};
use serde::Serialize;
use std::cmp::Ordering;
use std::fmt;
use tollgate_core::id::MerchantReference;
use tollgate_core::{IdempotencyKey, Timestamp};

/// What can be wrong; the gravest of several gives a discrepancy its [`class`](Discrepancy::class).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Class {
    /// We have booked it, the gateway does not know it.
    MissingAtGateway,
    /// The gateway has booked it, we do not know it.
    MissingInLedger,
    /// We have booked one movement more than once.
    DuplicateInLedger,
    /// The gateway lists one movement more than once: perhaps somebody paid twice.
    DuplicateAtGateway,
    /// The same movement in two currencies. The amounts are not compared.
    CurrencyMismatch,
    /// The amounts lie further apart than the tolerance.
    AmountMismatch,
    /// A status word nobody gave a meaning, or a status that is itself "unknown". Never taken for agreement.
    UnknownStatus,
    /// Two statuses we understand, and they differ.
    StatusMismatch,
    /// The times lie further apart than allowed. Only if asked for.
    DateMismatch,
}

impl Class {
    /// Every class, the gravest first.
    pub const ALL: [Self; 9] = [
        Self::MissingAtGateway,
        Self::MissingInLedger,
        Self::DuplicateInLedger,
        Self::DuplicateAtGateway,
        Self::CurrencyMismatch,
        Self::AmountMismatch,
        Self::UnknownStatus,
        Self::StatusMismatch,
        Self::DateMismatch,
    ];

    /// The stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MissingAtGateway => "missing_at_gateway",
            Self::MissingInLedger => "missing_in_ledger",
            Self::DuplicateInLedger => "duplicate_in_ledger",
            Self::DuplicateAtGateway => "duplicate_at_gateway",
            Self::CurrencyMismatch => "currency_mismatch",
            Self::AmountMismatch => "amount_mismatch",
            Self::UnknownStatus => "unknown_status",
            Self::StatusMismatch => "status_mismatch",
            Self::DateMismatch => "date_mismatch",
        }
    }

    pub(crate) const fn missing_opposite(present: Side) -> Self {
        match present {
            Side::Ledger => Self::MissingAtGateway,
            Side::Gateway => Self::MissingInLedger,
        }
    }

    pub(crate) const fn duplicate(side: Side) -> Self {
        match side {
            Side::Ledger => Self::DuplicateInLedger,
            Side::Gateway => Self::DuplicateAtGateway,
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.as_str().replace('_', " "))
    }
}

/// What a wrong amount, or a second row, looks like. A hint for whoever looks into it; decides nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Hint {
    /// The amounts are each other's negation: a refund booked as a payment, or a sign lost in reading.
    Sign,
    /// One amount is exactly 10, 100 or 1,000 times the other: the wrong exponent for the currency.
    Scale(u16),
    /// The duplicate says just what another row of its reference says.
    ExactRepeat,
    /// The duplicate says something else than the other rows of its reference.
    ConflictingRepeat,
}

impl Hint {
    /// What the two amounts of an amount mismatch suggest.
    pub(crate) fn of_amounts(ledger: &Row, gateway: &Row) -> Option<Self> {
        let minor = |row: &Row| i128::from(row.amount.minor());
        let (ledger, gateway) = (minor(ledger), minor(gateway));
        if ledger == -gateway {
            return Some(Self::Sign);
        }
        let scaled = |factor: &u16| {
            let factor = i128::from(*factor);
            ledger != 0 && (ledger * factor == gateway || gateway * factor == ledger)
        };
        [10, 100, 1000].into_iter().find(scaled).map(Self::Scale)
    }
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sign => f.write_str("opposite sign"),
            Self::Scale(factor) => write!(f, "off by a factor of {factor}"),
            Self::ExactRepeat => f.write_str("repeats another row exactly"),
            Self::ConflictingRepeat => f.write_str("differs from the other row"),
        }
    }
}

/// One finding. It owns its rows: no row is in two findings, or in a finding and a match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Discrepancy {
    pub(crate) class: Class,
    pub(crate) also: Vec<Class>,
    pub(crate) hint: Option<Hint>,
    pub(crate) ledger: Option<Row>,
    pub(crate) gateway: Option<Row>,
    /// How many equal findings come before this one in the report.
    pub(crate) occurrence: u64,
}

impl Discrepancy {
    pub(crate) const fn new(class: Class, ledger: Option<Row>, gateway: Option<Row>) -> Self {
        Self {
            class,
            also: Vec::new(),
            hint: None,
            ledger,
            gateway,
            occurrence: 0,
        }
    }

    /// What is wrong: the gravest, if several things are.
    #[must_use]
    pub const fn class(&self) -> Class {
        self.class
    }

    /// Everything that is wrong, the gravest first. One movement with a wrong amount and a wrong status is one
    /// discrepancy with two classes.
    pub fn classes(&self) -> impl Iterator<Item = Class> {
        std::iter::once(self.class).chain(self.also.iter().copied())
    }

    /// What it looks like.
    #[must_use]
    pub const fn hint(&self) -> Option<Hint> {
        self.hint
    }

    /// Our row.
    #[must_use]
    pub const fn ledger(&self) -> Option<&Row> {
        self.ledger.as_ref()
    }

    /// The gateway's row.
    #[must_use]
    pub const fn gateway(&self) -> Option<&Row> {
        self.gateway.as_ref()
    }

    /// What it is about: our reference, or the gateway's if we have no row.
    #[must_use]
    pub fn reference(&self) -> &str {
        let row = self.ledger.as_ref().or(self.gateway.as_ref());
        row.map_or("", |row| row.reference.as_str())
    }

    /// Names this finding, the same in every run that finds it again: what a handler remembers, so that nobody is
    /// woken twice for one thing. Made of class and content; the lines the rows stood on take no part.
    #[must_use]
    pub fn key(&self) -> IdempotencyKey {
        let fields = |row: &Option<Row>| {
            row.as_ref().map_or_else(Default::default, |row| {
                [
                    row.reference.to_string(),
                    row.amount.minor().to_string(),
                    row.amount.currency().to_string(),
                    row.status.to_string(),
                    row.at.unix_micros().to_string(),
                    row.payment.as_ref().map_or_else(String::new, ToString::to_string),
                ]
            })
        };
        let (ledger, gateway): ([String; 6], [String; 6]) = (fields(&self.ledger), fields(&self.gateway));
        let occurrence = self.occurrence.to_string();
        let classes: Vec<&str> = self.classes().map(Class::as_str).collect();
        let classes = classes.join(" ");
        let mut parts: Vec<&str> = vec!["tollgate/discrepancy/1", &occurrence, &classes];
        parts.extend(ledger.iter().chain(&gateway).map(String::as_str));
        IdempotencyKey::derive(&parts)
    }

    /// The order of findings without the lines of their rows: the gravest first, then by reference.
    pub(crate) fn meaning(&self, other: &Self) -> Ordering {
        self.class
            .cmp(&other.class)
            .then_with(|| self.reference().cmp(other.reference()))
            .then_with(|| meaning(self.ledger.as_ref(), other.ledger.as_ref()))
            .then_with(|| meaning(self.gateway.as_ref(), other.gateway.as_ref()))
    }
}

fn meaning(left: Option<&Row>, right: Option<&Row>) -> Ordering {
    match (left, right) {
        (Some(left), Some(right)) => left.meaning(right),
        (left, right) => left.is_some().cmp(&right.is_some()),
    }
}

impl fmt::Display for Discrepancy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.class)?;
        for class in &self.also {
            write!(f, ", {class}")?;
        }
        if let Some(hint) = self.hint {
            write!(f, " ({hint})")?;
        }
        match (&self.ledger, &self.gateway) {
            (Some(ledger), Some(gateway)) => write!(f, ": ledger {ledger}, gateway {gateway}"),
            (Some(row), None) | (None, Some(row)) => write!(f, ": {row}"),
            (None, None) => Ok(()),
        }
    }
}

/// Rows that disagree or stand alone, and are too young to be called wrong. Feed them to the next run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InTransit {
    pub(crate) ledger: Option<Row>,
    pub(crate) gateway: Option<Row>,
    pub(crate) due: Timestamp,
}

impl InTransit {
    /// Our row.
    #[must_use]
    pub const fn ledger(&self) -> Option<&Row> {
        self.ledger.as_ref()
    }

    /// The gateway's row.
    #[must_use]
    pub const fn gateway(&self) -> Option<&Row> {
        self.gateway.as_ref()
    }

    pub(crate) fn reference(&self) -> Option<&MerchantReference> {
        let row = self.ledger.as_ref().or(self.gateway.as_ref());
        row.map(|row| &row.reference)
    }

    /// When youth stops being an excuse: the time of the younger row plus the window.
    #[must_use]
    pub const fn due(&self) -> Timestamp {
        self.due
    }
}
