//! The report as a person reads it.

use super::{Report, Sum};
use crate::matched::MatchedBy;
use std::fmt;
use tollgate_core::Currency;

/// How many findings a short report lists.
const LISTED: usize = 20;

/// A verdict, a table of totals, then the findings, the gravest first: twenty of them, all with `{:#}`.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match (self.discrepancies.len(), self.unreadable.len()) {
            (0, 0) => "everything due agrees".into(),
            (found, 0) => format!("{found} to look into"),
            (found, 1) => format!("{found} to look into, 1 row could not be read"),
            (found, bad) => format!("{found} to look into, {bad} rows could not be read"),
        };
        writeln!(f, "Reconciliation as of {}: {verdict}", self.as_of)?;
        self.table(f)?;
        self.notes(f)?;
        self.findings(f)
    }
}

impl Report {
    fn table(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.totals.is_empty() {
            return Ok(());
        }
        writeln!(f)?;
        writeln!(
            f,
            "  {:<21} {:<4} {:>8} {:>18} {:>8} {:>18}",
            "", "", "ledger", "amount", "gateway", "amount"
        )?;
        for line in &self.totals {
            let cell = |sum: &Sum| match sum.rows {
                0 => ("-".into(), "-".into()),
                rows => (rows.to_string(), Major(sum.minor, line.currency).to_string()),
            };
            let (ledger, gateway) = (cell(&line.ledger), cell(&line.gateway));
            writeln!(
                f,
                "  {:<21} {:<4} {:>8} {:>18} {:>8} {:>18}",
                line.bucket, line.currency, ledger.0, ledger.1, gateway.0, gateway.1
            )?;
        }
        Ok(())
    }

    /// What agrees and still deserves a word.
    fn notes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |is: fn(&crate::Match) -> bool| self.matches.iter().filter(|found| is(found)).count();
        let notes = [
            (
                count(|found| found.difference() != 0),
                "within tolerance, not exact",
            ),
            (
                count(|found| found.by == MatchedBy::Payment),
                "by the gateway's id, the references differ",
            ),
            (
                count(crate::Match::is_repeat),
                "repeat an equal movement of the same reference: paid twice?",
            ),
        ];
        for (count, note) in notes.iter().filter(|(count, _)| *count > 0) {
            writeln!(f, "  of the matches, {count} {note}")?;
        }
        Ok(())
    }

    fn findings(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit = if f.alternate() { usize::MAX } else { LISTED };
        if !self.is_clean() {
            writeln!(f)?;
        }
        for bad in self.unreadable.iter().take(limit) {
            writeln!(f, "  unreadable: {bad}")?;
        }
        for found in self.discrepancies.iter().take(limit) {
            writeln!(f, "  {found}")?;
        }
        let rest = |all: usize| all.saturating_sub(limit);
        match rest(self.unreadable.len()) + rest(self.discrepancies.len()) {
            0 => Ok(()),
            more => writeln!(f, "  and {more} more"),
        }
    }
}

/// A sum of minor units in major units. `Money` holds 64 bits, a sum may need more.
struct Major(i128, Currency);

impl fmt::Display for Major {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(minor, currency) = self;
        let digits = u32::from(currency.minor_units());
        let (sign, size) = (if *minor < 0 { "-" } else { "" }, minor.unsigned_abs());
        match 10u128.pow(digits) {
            1 => write!(f, "{sign}{size}"),
            unit => {
                let width = usize::from(currency.minor_units());
                write!(f, "{sign}{}.{:0width$}", size / unit, size % unit)
            }
        }
    }
}
