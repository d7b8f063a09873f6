//! Latencies by operation and ending, in buckets of an eighth of their size.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tollgate_core::{Blame, Effect, Verdict};

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Ending {
    /// It was carried out.
    Executed,
    /// It was declined.
    Declined,
    /// A layer of ours said no.
    Rejected,
    /// It was turned away or never sent.
    NotSent,
    /// It may have happened.
    Unknown,
    /// Nobody waited for the answer any more.
    Abandoned,
}

impl Ending {
    const ALL: [Self; 6] = [
        Self::Executed,
        Self::Declined,
        Self::Rejected,
        Self::NotSent,
        Self::Unknown,
        Self::Abandoned,
    ];

    /// The stable lower-case name: a metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Executed => "executed",
            Self::Declined => "declined",
            Self::Rejected => "rejected",
            Self::NotSent => "not_sent",
            Self::Unknown => "unknown",
            Self::Abandoned => "abandoned",
        }
    }

    pub(super) fn of(verdict: &Verdict) -> Self {
        match (verdict.effect, verdict.blame) {
            (Effect::Executed, _) => Self::Executed,
            (Effect::Declined, _) => Self::Declined,
            (Effect::Unknown, _) => Self::Unknown,
            (_, Blame::Ourselves) => Self::Rejected,
            (Effect::NotSent | Effect::TurnedAway, _) => Self::NotSent,
        }
    }
}

/// 62 powers of two, eight steps each.
const CELLS: usize = 62 * 8;

#[derive(Debug)]
struct Histogram {
    cells: Box<[AtomicU64]>,
}

impl Histogram {
    fn new() -> Self {
        Self {
            cells: (0..CELLS).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    fn record(&self, nanos: u64) {
        self.cells[cell_of(nanos)].fetch_add(1, Relaxed);
    }
}

fn cell_of(nanos: u64) -> usize {
    let nanos = nanos.max(8);
    let power = 63 - nanos.leading_zeros();
    let step = nanos >> (power - 3) & 7;
    let cell = u64::from(power - 3) * 8 + step;
    usize::try_from(cell).unwrap_or(CELLS - 1).min(CELLS - 1)
}

/// The smallest duration that falls into the next cell: what a quantile in this cell is at most.
fn upper_end(cell: usize) -> Duration {
    let (power, step) = (
        u32::try_from(cell / 8).unwrap_or(60),
        u64::try_from(cell % 8).unwrap_or(7),
    );
    Duration::from_nanos((8 + step + 1) << power.min(59))
}

/// The latencies of one operation and ending.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Latency {
    /// Of which operation.
    pub operation: String,
    /// With which ending.
    pub ending: Ending,
    /// How many calls.
    pub count: u64,
    /// Half of them took at most this long.
    pub p50: Duration,
    /// 95 of a hundred took at most this long.
    pub p95: Duration,
    /// 99 of a hundred took at most this long.
    pub p99: Duration,
    /// All of them took at most this long.
    pub max: Duration,
}

/// All latencies, shared by the services of one layer. Recording takes one atomic step after an operation's first call.
#[derive(Clone, Debug, Default)]
pub struct Timings(Arc<RwLock<BTreeMap<Box<str>, Arc<PerOperation>>>>);

/// The histograms of one operation. A call holds them from its beginning on, so that nothing is looked up or copied at its end.
#[derive(Debug)]
pub(super) struct PerOperation {
    name: Box<str>,
    endings: [Histogram; Ending::ALL.len()],
}

impl PerOperation {
    /// The operation's name; `other` for one too many.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn record(&self, ending: Ending, took: Duration) {
        let place = Ending::ALL.iter().position(|known| *known == ending).unwrap_or(0);
        self.endings[place].record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }
}

/// More names than this are counted together: a label that is not bounded must not fill the memory.
const MOST_OPERATIONS: usize = 256;
const OTHER: &str = "other";

impl Timings {
    pub(super) fn of(&self, operation: &str) -> Arc<PerOperation> {
        if let Some(found) = self
            .0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(operation)
        {
            return Arc::clone(found);
        }
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let name = if all.len() < MOST_OPERATIONS {
            operation
        } else {
            OTHER
        };
        let made = || {
            Arc::new(PerOperation {
                name: name.into(),
                endings: std::array::from_fn(|_| Histogram::new()),
            })
        };
        Arc::clone(all.entry(name.into()).or_insert_with(made))
    }

    /// What was measured since the layer was made, by operation and ending; those without calls are left out.
    #[must_use]
    pub fn snapshot(&self) -> Vec<Latency> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut latencies = Vec::new();
        for (operation, per_operation) in all.iter() {
            for (ending, histogram) in Ending::ALL.into_iter().zip(&per_operation.endings) {
                latencies.extend(latency(operation, ending, histogram));
            }
        }
        latencies
    }
}

fn latency(operation: &str, ending: Ending, histogram: &Histogram) -> Option<Latency> {
    let counts: Vec<u64> = histogram.cells.iter().map(|cell| cell.load(Relaxed)).collect();
    let count: u64 = counts.iter().sum();
    if count == 0 {
        return None;
    }
    let quantile = |percent: u64| {
        let rank = (count * percent).div_ceil(100).max(1);
        let mut seen = 0;
        let cell = counts.iter().position(|n| {
            seen += n;
            seen >= rank
        });
        upper_end(cell.unwrap_or(CELLS - 1))
    };
    Some(Latency {
        operation: operation.into(),
        ending,
        count,
        p50: quantile(50),
        p95: quantile(95),
        p99: quantile(99),
        max: quantile(100),
    })
}
