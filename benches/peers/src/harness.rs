//! The clock, the allocation counter and the rows. A row is a pair of closures, the layer under test and its baseline; both run a batch
//! of calls and say how long it took, so that what has to be set up stays outside the clock.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Counts allocations while a batch that is to be counted is on the clock; outside that it costs one relaxed load per allocation.
pub(crate) struct Counting;

/// The batch that runs now is to be counted between [`start`] and [`stop`].
static WANTED: AtomicBool = AtomicBool::new(false);
static COUNTING: AtomicBool = AtomicBool::new(false);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

fn note(size: usize) {
    if COUNTING.load(Relaxed) {
        ALLOCATIONS.fetch_add(1, Relaxed);
        BYTES.fetch_add(size as u64, Relaxed);
    }
}

// SAFETY: every method forwards to `System` unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        unsafe { System.realloc(at, layout, size) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        unsafe { System.dealloc(at, layout) }
    }
}

/// Allocations, and the bytes that were asked for, in the timed part of one batch.
fn counted(batch: &mut Batch, calls: u64) -> (f64, f64) {
    let before = (ALLOCATIONS.load(Relaxed), BYTES.load(Relaxed));
    WANTED.store(true, Relaxed);
    batch(calls);
    WANTED.store(false, Relaxed);
    let per_call = |now: u64, before: u64| (now - before) as f64 / calls as f64;
    (
        per_call(ALLOCATIONS.load(Relaxed), before.0),
        per_call(BYTES.load(Relaxed), before.1),
    )
}

/// Starts the clock of a batch.
pub(crate) fn start() -> Instant {
    COUNTING.store(WANTED.load(Relaxed), Relaxed);
    Instant::now()
}

/// Stops it.
pub(crate) fn stop(started: Instant) -> Duration {
    let elapsed = started.elapsed();
    COUNTING.store(false, Relaxed);
    elapsed
}

/// Makes so many calls and says how long they took.
pub(crate) type Batch = Box<dyn FnMut(u64) -> Duration>;

/// One row of the table.
pub(crate) struct Row {
    pub(crate) of: &'static str,
    pub(crate) what: &'static str,
    pub(crate) note: &'static str,
    /// Calls per batch where they cannot be found by trying, because what is stored grows.
    fixed: Option<u64>,
    batches: usize,
    total: Batch,
    base: Batch,
    calls: u64,
    samples: Vec<f64>,
    base_samples: Vec<f64>,
    allocations: (f64, f64),
}

impl Row {
    pub(crate) fn new(of: &'static str, what: &'static str, total: Batch, base: Batch) -> Self {
        Self {
            of,
            what,
            note: "",
            fixed: None,
            batches: 100,
            total,
            base,
            calls: 0,
            samples: Vec::new(),
            base_samples: Vec::new(),
            allocations: (0.0, 0.0),
        }
    }

    pub(crate) fn note(mut self, note: &'static str) -> Self {
        self.note = note;
        self
    }

    pub(crate) fn fixed(mut self, calls: u64, batches: usize) -> Self {
        (self.fixed, self.batches) = (Some(calls), batches);
        self
    }

    /// Warms up, finds the size of a batch (about 1 ms) and counts allocations.
    pub(crate) fn prepare(&mut self) {
        let mut calls = self.fixed.unwrap_or(64);
        while self.fixed.is_none() && (self.total)(calls) < Duration::from_millis(1) {
            calls *= 2;
        }
        self.calls = calls;
        (self.base)(calls);
        (self.total)(calls);
        let (with, without) = (counted(&mut self.total, calls), counted(&mut self.base, calls));
        self.allocations = (with.0 - without.0, with.1 - without.1);
    }

    /// Baseline and layer in turn, the order swapped every other time.
    pub(crate) fn round(&mut self, batches: usize) {
        for turn in 0..batches.min(self.batches) {
            if turn % 2 == 1 {
                self.sample_total();
            }
            let base = (self.base)(self.calls);
            self.base_samples.push(per_call(base, self.calls));
            if turn % 2 == 0 {
                self.sample_total();
            }
        }
    }

    fn sample_total(&mut self) {
        let total = (self.total)(self.calls);
        self.samples.push(per_call(total, self.calls));
    }

    pub(crate) fn figures(&self) -> Figures {
        let (total, base) = (sorted(&self.samples), sorted(&self.base_samples));
        let middle = |samples: &[f64]| samples[samples.len() / 2];
        let net = |q: f64| total[((total.len() - 1) as f64 * q).round() as usize] - middle(&base);
        Figures {
            median: middle(&total) - middle(&base),
            min: net(0.0),
            p10: net(0.1),
            p90: net(0.9),
            max: net(1.0),
            total: middle(&total),
            base: middle(&base),
            allocations: self.allocations.0,
            bytes: self.allocations.1,
            batches: total.len(),
            calls: self.calls,
        }
    }
}

fn per_call(time: Duration, calls: u64) -> f64 {
    time.as_nanos() as f64 / calls as f64
}

fn sorted(samples: &[f64]) -> Vec<f64> {
    let mut samples = samples.to_vec();
    samples.sort_by(f64::total_cmp);
    samples
}

/// Nanoseconds per call: `median` to `max` are the total less the baseline's median.
pub(crate) struct Figures {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) p10: f64,
    pub(crate) p90: f64,
    pub(crate) max: f64,
    pub(crate) total: f64,
    pub(crate) base: f64,
    pub(crate) allocations: f64,
    pub(crate) bytes: f64,
    pub(crate) batches: usize,
    pub(crate) calls: u64,
}
