//! The store under test, the model, and their one clock.

use super::Trial;
use proptest::test_runner::TestCaseError;
use std::fmt::Debug;
use std::time::Duration;
use tollgate_core::store::StoreError;
use tollgate_core::{Clock, ManualClock};

pub(super) struct Pair<T, M> {
    pub(super) trial: T,
    pub(super) model: M,
    clock: ManualClock,
    /// What was asked so far, when, and what both answered.
    told: Vec<String>,
}

impl<T: Trial, M> Pair<T, M> {
    pub(super) async fn new(mut trial: T, model: M, clock: ManualClock) -> Self {
        trial.set_time(clock.now()).await;
        Self {
            trial,
            model,
            clock,
            told: Vec::new(),
        }
    }

    pub(super) async fn advance(&mut self, by: Duration) {
        self.clock.advance(by);
        self.trial.set_time(self.clock.now()).await;
    }

    /// Sets the clock back.
    pub(super) async fn set_back(&mut self, by: Duration) {
        self.clock.set(self.clock.now().saturating_sub(by));
        self.trial.set_time(self.clock.now()).await;
    }

    /// What both say. If they differ: what was asked, and before that.
    pub(super) fn same<A: Debug + PartialEq>(
        &mut self,
        method: &str,
        asked: &[String],
        found: Result<A, StoreError>,
        expected: Result<A, StoreError>,
    ) -> Result<A, TestCaseError> {
        let call = format!("{method}({})", asked.join(", "));
        let wrong = match (found, expected) {
            (Ok(found), Ok(expected)) if found == expected => {
                // what only looks says nothing that the next answers do not
                if !matches!(method, "get" | "load" | "read" | "head" | "list") {
                    self.told
                        .push(format!("\n  {:?} {call}: {found:?}", self.clock.now()));
                }
                return Ok(found);
            }
            (Ok(found), Ok(expected)) => {
                format!("{call} says\n  {found:?}\nand the rule says\n  {expected:?}")
            }
            (Err(error), _) => format!("{call}: the store failed: {error:?}"),
            (_, Err(error)) => format!("{call}: the model failed: {error:?}"),
        };
        let told = self.told.concat();
        Err(TestCaseError::fail(format!(
            "{wrong}\nat {:?}, having been asked{told}",
            self.clock.now()
        )))
    }
}

/// So many seconds, and a microsecond for each: no time is a whole second or millisecond, and yet leases and waits meet.
pub(super) fn seconds(number: u8) -> Duration {
    Duration::from_micros(u64::from(number) * 1_000_001)
}
