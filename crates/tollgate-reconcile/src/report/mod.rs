//! What a run found.
//!
//! Every input row is in exactly one of four lists: [`matches`](Report::matches),
//! [`discrepancies`](Report::discrepancies), [`in_transit`](Report::in_transit), [`unreadable`](Report::unreadable).
//! That is checked at the end of every run, by counts and by sums per currency and side, before anybody sees the report.
//!
//! `Display` is for people (`{:#}` lists every finding, `{}` the first twenty), [`Serialize`] for machines. Neither
//! shows text that was not checked: references, ids and words come from types that refuse card numbers, unreadable
//! values are not kept, errors of handlers are not here.

mod display;
mod totals;

pub(crate) use totals::Control;
pub use totals::{Bucket, Sum, TotalLine};

use crate::discrepancy::{Class, Discrepancy, InTransit};
use crate::matched::Match;
use crate::read::BadRow;
use crate::row::{Sheet, Side};
use crate::run::Buckets;
use serde::Serialize;
use tollgate_core::{Currency, Timestamp};

/// Why a run gave no report.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReconcileError {
    /// A sum does not fit 128 bits.
    #[error("the sum of the {side} amounts in {currency} does not fit 128 bits")]
    Overflow {
        /// On which side.
        side: Side,
        /// In which currency.
        currency: Currency,
    },
    /// What came out is not what went in: a defect of this crate, told instead of a wrong report.
    #[error("{side} rows went in and did not come out once each: a defect of tollgate-reconcile")]
    NotConserved {
        /// On which side.
        side: Side,
    },
}

/// What a run found. Deterministic: equal input, in any order, gives an equal report.
///
/// Sums are written as decimal strings in JSON, since they may exceed what JSON readers take for a number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[must_use = "a report nobody reads finds nothing"]
pub struct Report {
    as_of: Timestamp,
    totals: Vec<TotalLine>,
    discrepancies: Vec<Discrepancy>,
    in_transit: Vec<InTransit>,
    unreadable: Vec<BadRow>,
    matches: Vec<Match>,
}

impl Report {
    pub(crate) fn new(
        as_of: Timestamp,
        buckets: Buckets,
        mut unreadable: Vec<BadRow>,
        control: &Control,
    ) -> Result<Self, ReconcileError> {
        unreadable.sort_unstable();
        let totals = totals::of(&buckets)?;
        control.check(&totals)?;
        Ok(Self {
            as_of,
            totals,
            discrepancies: buckets.discrepancies,
            in_transit: buckets.in_transit,
            unreadable,
            matches: buckets.matches,
        })
    }

    /// As of when.
    #[must_use]
    pub const fn as_of(&self) -> Timestamp {
        self.as_of
    }

    /// Whether there is nothing to look into: no discrepancy, and every row could be read.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.discrepancies.is_empty() && self.unreadable.is_empty()
    }

    /// What agrees, by reference.
    #[must_use]
    pub fn matches(&self) -> &[Match] {
        &self.matches
    }

    /// What is wrong, the gravest class first, then by reference.
    #[must_use]
    pub fn discrepancies(&self) -> &[Discrepancy] {
        &self.discrepancies
    }

    /// What has this class, alone or among others.
    pub fn with_class(&self, class: Class) -> impl Iterator<Item = &Discrepancy> {
        let has = move |found: &&Discrepancy| found.classes().any(|other| other == class);
        self.discrepancies.iter().filter(has)
    }

    /// What is too young to be called wrong, by reference.
    #[must_use]
    pub fn in_transit(&self) -> &[InTransit] {
        &self.in_transit
    }

    /// Rows that could not be read, by side and line. While there are any, a "missing" row may be one of them.
    #[must_use]
    pub fn unreadable(&self) -> &[BadRow] {
        &self.unreadable
    }

    /// Rows and sums by bucket and currency.
    #[must_use]
    pub fn totals(&self) -> &[TotalLine] {
        &self.totals
    }

    /// The rows in transit as input of the next run: append the next period's rows to them. Only for files that do
    /// not overlap: a row that comes again in the next file would be its own duplicate. A
    /// [`CarryOverStore`](tollgate_core::store::carry_over::CarryOverStore) keeps them in between, so that two runs that overlap do
    /// not both take them over.
    #[must_use]
    pub fn carry_over(&self) -> (Sheet, Sheet) {
        let ledger = self.in_transit.iter().filter_map(InTransit::ledger);
        let gateway = self.in_transit.iter().filter_map(InTransit::gateway);
        (ledger.cloned().collect(), gateway.cloned().collect())
    }
}
