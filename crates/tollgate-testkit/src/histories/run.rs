//! How many histories, of what kind, and what is done with one that fails.

use super::pair::{Pair, seconds};
use super::{Trial, audit, carry_over, dedup, idempotency, quota, saga, velocity};
use proptest::collection::vec;
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestError, TestRunner};
use std::fmt::Debug;
use std::time::Duration;
use tollgate_core::store::audit::AuditStore;
use tollgate_core::store::carry_over::CarryOverStore;
use tollgate_core::store::dedup::DedupStore;
use tollgate_core::store::idempotency::IdempotencyStore;
use tollgate_core::store::memory::{
    MemoryAudit, MemoryCarryOver, MemoryDedup, MemoryIdempotency, MemoryQuota, MemorySaga, MemoryVelocity,
};
use tollgate_core::store::quota::QuotaStore;
use tollgate_core::store::saga::SagaJournal;
use tollgate_core::store::velocity::VelocityStore;
use tollgate_core::{ManualClock, Timestamp};

/// How many histories to walk, and of what kind. Each method of a port walks them with a store that `make` makes: *empty*, under this
/// clock, one for each history.
///
/// It runs on a runtime of its own and blocks until it is done, so it wants an ordinary `#[test]`.
///
/// # Panics
/// Every method of a port panics when the store differs from the model, or fails: with the shortest history that it could find which
/// shows it, step by step.
#[derive(Clone, Debug)]
pub struct Histories {
    cases: u32,
    length: usize,
    start: Timestamp,
    retention: Duration,
    seed: RngSeed,
}

impl Default for Histories {
    fn default() -> Self {
        Self::new()
    }
}

impl Histories {
    /// 32 histories (an eighth of what the environment variable `PROPTEST_CASES` says, if it is set) of up to 60 steps.
    #[must_use]
    pub fn new() -> Self {
        Self {
            cases: Config::default().cases / 8,
            length: 60,
            start: Timestamp::from_unix_seconds(1_700_000_000),
            retention: seconds(40),
            seed: Config::default().rng_seed,
        }
    }

    /// How many histories (default: 32, or an eighth of `PROPTEST_CASES`).
    #[must_use]
    pub const fn cases(mut self, cases: u32) -> Self {
        self.cases = cases;
        self
    }

    /// Fewer steps than this in each history (default: 60).
    #[must_use]
    pub const fn length(mut self, length: usize) -> Self {
        self.length = length;
        self
    }

    /// What the clock shows when a history begins (default: in November 2023). For stores part of whose time is their server's.
    #[must_use]
    pub const fn start(mut self, start: Timestamp) -> Self {
        self.start = start;
        self
    }

    /// How long answers to idempotent requests are kept (default: 40 seconds and as many microseconds, so that many a history sees the end of it).
    #[must_use]
    pub const fn retention(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }

    /// Always the histories of this number (default: others each time, or those of the environment variable `PROPTEST_RNG_SEED`).
    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = RngSeed::Fixed(seed);
        self
    }

    /// Idempotency records: three keys, four owners, two tenants with caps on their doubts; stale and forged tokens, old looks.
    ///
    /// # Panics
    /// When the store differs from the rule.
    pub fn idempotency<T>(&self, make: impl AsyncFn(ManualClock) -> T)
    where
        T: Trial<Store: IdempotencyStore>,
    {
        let model = |clock| MemoryIdempotency::with(10_000, clock);
        self.walk(make, model, idempotency::step(), &async |pair, steps| {
            idempotency::walk(pair, self.retention, steps).await
        });
    }

    /// Webhook events: three of them, with two bodies each; late owners, tickets that nobody holds any more.
    ///
    /// # Panics
    /// When the store differs from the rule.
    pub fn dedup<T>(&self, make: impl AsyncFn(ManualClock) -> T)
    where
        T: Trial<Store: DedupStore>,
    {
        let model = |clock| MemoryDedup::with(10_000, clock);
        self.walk(make, model, dedup::step(), &dedup::walk);
    }

    /// Quotas: four of them, taken two at a time, the same one twice among them; given back; costs that never fit.
    ///
    /// # Panics
    /// When the store differs from the rule.
    pub fn quota<T>(&self, make: impl AsyncFn(ManualClock) -> T)
    where
        T: Trial<Store: QuotaStore>,
    {
        let model = |clock| MemoryQuota::with(10_000, clock);
        self.walk(make, model, quota::step(), &quota::walk);
    }

    /// Velocity counters: four of them, with windows of three lengths, and weights and limits up to the largest.
    ///
    /// # Panics
    /// When the store differs from the rule.
    pub fn velocity<T>(&self, make: impl AsyncFn(ManualClock) -> T)
    where
        T: Trial<Store: VelocityStore>,
    {
        let model = |clock| MemoryVelocity::with(10_000, clock);
        self.walk(make, model, velocity::step(), &velocity::walk);
    }

    /// Audit chains: two of them, whose names differ in the case of a letter, read in pages.
    ///
    /// # Panics
    /// When the store differs from the rule.
    pub fn audit<T>(&self, make: impl AsyncFn(ManualClock) -> T)
    where
        T: Trial<Store: AuditStore>,
    {
        self.walk(make, MemoryAudit::with, audit::step(), &audit::walk);
    }

    /// What reconciliation runs leave: two runs, whose names differ in the case of a letter; stale and impossible versions, empty bodies.
    ///
    /// # Panics
    /// When the store differs from the rule.
    pub fn carry_over<T>(&self, make: impl AsyncFn(ManualClock) -> T)
    where
        T: Trial<Store: CarryOverStore>,
    {
        let model = |_| MemoryCarryOver::new();
        self.walk(make, model, carry_over::step(), &carry_over::walk);
    }

    /// Saga journals: four sagas, two with one business key, one of another definition; appends under stale epochs and with missed
    /// records.
    ///
    /// # Panics
    /// When the store differs from the rule.
    pub fn saga<T>(&self, make: impl AsyncFn(ManualClock) -> T)
    where
        T: Trial<Store: SagaJournal>,
    {
        self.walk(make, MemorySaga::with, saga::step(), &saga::walk);
    }

    fn walk<T: Trial, M, St: Strategy<Value: Debug>>(
        &self,
        make: impl AsyncFn(ManualClock) -> T,
        model: impl Fn(ManualClock) -> M,
        step: St,
        walk: &impl AsyncFn(&mut Pair<T, M>, Vec<St::Value>) -> Result<(), TestCaseError>,
    ) {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => panic!("cannot start a runtime: {error}"),
        };
        // no file of failures: a history is printed whole, and is worth a test of its own
        let config = Config {
            cases: self.cases,
            failure_persistence: None,
            rng_seed: self.seed,
            ..Config::default()
        };
        let found = TestRunner::new(config).run(&vec(step, 0..self.length), |steps| {
            runtime.block_on(async {
                let clock = ManualClock::at(self.start);
                let trial = make(clock.clone()).await;
                let mut pair = Pair::new(trial, model(clock.clone()), clock).await;
                walk(&mut pair, steps).await
            })
        });
        match found {
            Ok(()) => {}
            Err(TestError::Fail(reason, steps)) => panic!("{reason}\nafter {}", told(&steps)),
            Err(TestError::Abort(reason)) => panic!("no histories: {reason}"),
        }
    }
}

/// The steps as a numbered list.
fn told(steps: &[impl Debug]) -> String {
    let lines = steps
        .iter()
        .zip(1..)
        .map(|(step, number)| format!("\n{number:3} {step:?}"));
    format!("{} steps:{}", steps.len(), lines.collect::<String>())
}
