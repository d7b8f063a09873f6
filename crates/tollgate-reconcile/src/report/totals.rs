//! Control totals: what went in is what came out.

use super::ReconcileError;
use crate::discrepancy::Class;
use crate::row::{Row, Sheet, Side};
use crate::run::Buckets;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;
use tollgate_core::Currency;

/// Where a readable row ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bucket {
    /// Agreed with the other side.
    Matched,
    /// Too young to be called wrong.
    InTransit,
    /// In a discrepancy of this class.
    Discrepant(Class),
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Matched => f.pad("matched"),
            Self::InTransit => f.pad("in transit"),
            Self::Discrepant(class) => class.fmt(f),
        }
    }
}

/// Rows and their exact sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sum {
    /// How many rows.
    pub rows: u64,
    /// Their sum in minor units, with sign.
    #[serde(serialize_with = "as_text")]
    pub minor: i128,
}

fn as_text<S: Serializer>(minor: &i128, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(minor)
}

impl Sum {
    fn add(&mut self, rows: u64, minor: i128) -> Option<()> {
        self.rows = self.rows.checked_add(rows)?;
        self.minor = self.minor.checked_add(minor)?;
        Some(())
    }
}

/// What one bucket holds in one currency. The two sides of a currency mismatch stand in two lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TotalLine {
    /// In which bucket.
    pub bucket: Bucket,
    /// In which currency.
    pub currency: Currency,
    /// Our rows.
    pub ledger: Sum,
    /// The gateway's rows.
    pub gateway: Sum,
}

/// Adds up rows by some key, side and currency.
#[derive(Debug, PartialEq, Eq)]
struct Sums<K>(BTreeMap<(K, Currency), [Sum; 2]>);

impl<K: Ord + Copy> Sums<K> {
    fn add(&mut self, key: K, side: Side, currency: Currency, sum: Sum) -> Result<(), ReconcileError> {
        let sums = self.0.entry((key, currency)).or_default();
        sums[index(side)]
            .add(sum.rows, sum.minor)
            .ok_or(ReconcileError::Overflow { side, currency })
    }

    fn rows<'r>(
        &mut self,
        key: K,
        side: Side,
        rows: impl IntoIterator<Item = &'r Row>,
    ) -> Result<(), ReconcileError> {
        rows.into_iter().try_for_each(|row| {
            let one = Sum {
                rows: 1,
                minor: row.amount.minor().into(),
            };
            self.add(key, side, row.amount.currency(), one)
        })
    }
}

const fn index(side: Side) -> usize {
    match side {
        Side::Ledger => 0,
        Side::Gateway => 1,
    }
}

/// What went in, by side and currency.
#[derive(Debug)]
pub(crate) struct Control(Sums<()>);

impl Control {
    pub(crate) fn of(ledger: &Sheet, gateway: &Sheet) -> Result<Self, ReconcileError> {
        let mut sums = Sums(BTreeMap::new());
        sums.rows((), Side::Ledger, &ledger.rows)?;
        sums.rows((), Side::Gateway, &gateway.rows)?;
        Ok(Self(sums))
    }

    /// Compares what came out with what went in.
    pub(crate) fn check(&self, totals: &[TotalLine]) -> Result<(), ReconcileError> {
        let mut out = Sums(BTreeMap::new());
        for line in totals {
            out.add((), Side::Ledger, line.currency, line.ledger)?;
            out.add((), Side::Gateway, line.currency, line.gateway)?;
        }
        for side in [Side::Ledger, Side::Gateway] {
            let of = |sums: &Sums<()>| -> Vec<_> {
                let some = sums.0.iter().map(|(key, sums)| (key.1, sums[index(side)]));
                some.filter(|(_, sum)| sum.rows > 0).collect()
            };
            if of(&self.0) != of(&out) {
                return Err(ReconcileError::NotConserved { side });
            }
        }
        Ok(())
    }
}

/// Adds up what came out.
pub(super) fn of(buckets: &Buckets) -> Result<Vec<TotalLine>, ReconcileError> {
    let mut sums = Sums(BTreeMap::new());
    for found in &buckets.matches {
        sums.rows(Bucket::Matched, Side::Ledger, found.ledger())?;
        sums.rows(Bucket::Matched, Side::Gateway, found.gateway())?;
    }
    for waiting in &buckets.in_transit {
        sums.rows(Bucket::InTransit, Side::Ledger, waiting.ledger())?;
        sums.rows(Bucket::InTransit, Side::Gateway, waiting.gateway())?;
    }
    for found in &buckets.discrepancies {
        let bucket = Bucket::Discrepant(found.class());
        sums.rows(bucket, Side::Ledger, found.ledger())?;
        sums.rows(bucket, Side::Gateway, found.gateway())?;
    }
    let line = |((bucket, currency), [ledger, gateway]): (_, [Sum; 2])| TotalLine {
        bucket,
        currency,
        ledger,
        gateway,
    };
    Ok(sums.0.into_iter().map(line).collect())
}
