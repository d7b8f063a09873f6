//! Counting what was masked.

use crate::finding::{Finding, Kind};
use std::sync::atomic::{AtomicU64, Ordering};

/// How many secrets were masked since the start, by kind.
///
/// Publish it as a metric and alert on it: types should have kept card data away from text long before, so each count is
/// a defect to be found. It only grows. A line that is written again because the inner writer failed counts again.
#[derive(Debug, Default)]
pub struct Tally {
    counts: [AtomicU64; Kind::ALL.len()],
}

impl Tally {
    /// How many secrets of this kind.
    #[must_use]
    pub fn count(&self, kind: Kind) -> u64 {
        self.slot(kind).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// How many secrets of all kinds.
    #[must_use]
    pub fn total(&self) -> u64 {
        Kind::ALL.into_iter().map(|kind| self.count(kind)).sum()
    }

    pub(crate) fn add(&self, found: &[Finding]) {
        for finding in found {
            if let Some(count) = self.slot(finding.kind()) {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn slot(&self, kind: Kind) -> Option<&AtomicU64> {
        Kind::ALL
            .iter()
            .position(|&other| other == kind)
            .and_then(|index| self.counts.get(index))
    }
}
