mod handlers;
mod matching;
mod oracle;
mod properties;
mod reading;
mod report;
mod seed;

use crate::{Class, Report, Row, Status, StatusMap};
use tollgate_core::gateway::PaymentStatus::Captured;
use tollgate_core::id::{MerchantReference, PaymentId};
use tollgate_core::{Currency, Money, Timestamp};

/// When every row of these tests happened, unless it says otherwise.
pub(crate) const THEN: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);
pub(crate) const EUR: Currency = Currency::EUR;

pub(crate) fn reference(name: &str) -> MerchantReference {
    MerchantReference::new(name).unwrap()
}

/// So many euro cents, captured, then.
pub(crate) fn row(name: &str, cents: i64) -> Row {
    Row::new(reference(name), Money::from_minor(cents, EUR), Captured, THEN)
}

pub(crate) fn at(seconds: i64, row: Row) -> Row {
    Row {
        at: Timestamp::from_unix_seconds(1_700_000_000 + seconds),
        ..row
    }
}

pub(crate) fn with_status(status: impl Into<Status>, row: Row) -> Row {
    Row {
        status: status.into(),
        ..row
    }
}

pub(crate) fn unmapped(word: &str) -> Status {
    StatusMap::new().read(word).unwrap()
}

pub(crate) fn in_currency(currency: Currency, row: Row) -> Row {
    Row {
        amount: Money::from_minor(row.amount.minor(), currency),
        ..row
    }
}

pub(crate) fn paid_by(id: &str, row: Row) -> Row {
    row.payment(PaymentId::new(id).unwrap())
}

/// Reference and classes of every finding.
pub(crate) fn found(report: &Report) -> Vec<(String, Vec<Class>)> {
    let one = |found: &crate::Discrepancy| (found.reference().to_owned(), found.classes().collect());
    report.discrepancies().iter().map(one).collect()
}

/// Every row of one side, wherever it ended, sorted.
pub(crate) fn rows_of(report: &Report, side: crate::Side) -> Vec<Row> {
    let ledger = side == crate::Side::Ledger;
    let mut rows = Vec::new();
    for one in report.matches() {
        rows.extend_from_slice(if ledger { one.ledger() } else { one.gateway() });
    }
    for one in report.discrepancies() {
        rows.extend(if ledger { one.ledger() } else { one.gateway() }.cloned());
    }
    for one in report.in_transit() {
        rows.extend(if ledger { one.ledger() } else { one.gateway() }.cloned());
    }
    rows.sort();
    rows
}
