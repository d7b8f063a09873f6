//! The settings, and the one question.

use crate::report::{ReconcileError, Report};
use crate::row::Sheet;
use crate::rules::{Rules, Tolerance};
use crate::run::run;
use std::time::Duration;
use tollgate_core::Timestamp;

/// Compares our ledger with a gateway's report.
///
/// Pure and synchronous: no clock, no file, no runtime. The same rows give the same report in whatever order they
/// come. It takes the rows and hands each one back in exactly one place of the [`Report`].
///
/// A run sorts both sides, so it takes O(n log n) comparisons and the memory of the rows; one reference shared by all
/// rows costs no more than that.
///
/// ```
/// use std::time::Duration;
/// use tollgate_core::gateway::PaymentStatus::{self, Captured};
/// use tollgate_core::{Currency, Timestamp, id::MerchantReference};
/// use tollgate_reconcile::{Class, Reconciler, Row, Tolerance};
///
/// let yesterday = Timestamp::from_unix_seconds(1_700_000_000);
/// let row = |reference: &str, amount: &str, status: PaymentStatus| {
///     Row::new(MerchantReference::new(reference).unwrap(), amount.parse().unwrap(), status, yesterday)
/// };
/// let report = Reconciler::new(yesterday.saturating_add(Duration::from_secs(86_400)))
///     .window(Duration::from_secs(6 * 3600))
///     .tolerance(Tolerance::exact().with(Currency::JPY, 1))
///     .reconcile(
///         vec![row("a", "500 JPY", Captured), row("b", "9.99 EUR", Captured)],
///         vec![row("a", "501 JPY", Captured), row("b", "999.00 EUR", Captured)],
///     )?;
/// assert_eq!(report.matches()[0].difference(), -1); // forgiven, not forgotten
/// assert_eq!(report.discrepancies()[0].class(), Class::AmountMismatch);
/// assert!(report.discrepancies()[0].to_string().starts_with("amount mismatch (off by a factor of 100)"));
/// # Ok::<(), tollgate_reconcile::ReconcileError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Reconciler {
    rules: Rules,
}

impl Reconciler {
    /// Compares as of this moment, usually [`Clock::now`](tollgate_core::Clock::now): exact amounts, nothing in
    /// transit, times not compared, one row against one row.
    #[must_use]
    pub fn new(as_of: Timestamp) -> Self {
        Self {
            rules: Rules {
                as_of,
                window: Duration::ZERO,
                tolerance: Tolerance::exact(),
                dates_within: None,
                split_rows: false,
            },
        }
    }

    /// Sets how long the sides may take to hear of each other (default: zero, every row is due at once).
    ///
    /// A row younger than this that agrees with no row of the other side is [in transit](crate::InTransit): neither
    /// matched nor discrepant, and neither is the row it was set against. Rows that agree match at any age, so a pair
    /// that straddles the edge of the window is not torn apart. A row exactly as old as the window is due.
    #[must_use]
    pub const fn window(mut self, window: Duration) -> Self {
        self.rules.window = window;
        self
    }

    /// Sets how far amounts may lie apart (default: not at all).
    #[must_use]
    pub fn tolerance(mut self, tolerance: Tolerance) -> Self {
        self.rules.tolerance = tolerance;
        self
    }

    /// Compares times too, and allows this distance (default: times are not compared). More is a
    /// [`DateMismatch`](crate::Class::DateMismatch).
    #[must_use]
    pub const fn dates_within(mut self, distance: Duration) -> Self {
        self.rules.dates_within = Some(distance);
        self
    }

    /// Lets one row match several of the other side with the same reference, status and currency that add up to it
    /// exactly, as a split capture does (default: `false`, since a sum is an inference). No tolerance applies.
    #[must_use]
    pub const fn split_rows(mut self, allowed: bool) -> Self {
        self.rules.split_rows = allowed;
        self
    }

    /// Compares.
    ///
    /// # Errors
    /// [`ReconcileError`] when the report would not balance with its input. No discrepancy and no unreadable row is an
    /// error.
    pub fn reconcile(
        &self,
        ledger: impl Into<Sheet>,
        gateway: impl Into<Sheet>,
    ) -> Result<Report, ReconcileError> {
        let (ledger, gateway) = (ledger.into(), gateway.into());
        let control = crate::report::Control::of(&ledger, &gateway)?;
        let buckets = run(ledger.rows, gateway.rows, &self.rules);
        let unreadable = ledger.unreadable.into_iter().chain(gateway.unreadable);
        let report = Report::new(self.rules.as_of, buckets, unreadable.collect(), &control)?;
        tracing::info!(
            matched = report.matches().len(),
            discrepancies = report.discrepancies().len(),
            in_transit = report.in_transit().len(),
            unreadable = report.unreadable().len(),
            "reconciled"
        );
        Ok(report)
    }
}
