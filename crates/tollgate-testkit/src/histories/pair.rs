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
}

impl<T: Trial, M> Pair<T, M> {
    pub(super) async fn new(mut trial: T, model: M, clock: ManualClock) -> Self {
        trial.set_time(clock.now()).await;
        Self { trial, model, clock }
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
}

/// What both say.
pub(super) fn same<T: Debug + PartialEq>(
    method: &str,
    found: Result<T, StoreError>,
    expected: Result<T, StoreError>,
) -> Result<T, TestCaseError> {
    let (found, expected) = match (found, expected) {
        (Ok(found), Ok(expected)) => (found, expected),
        (Err(error), _) => {
            return Err(TestCaseError::fail(format!(
                "{method}: the store failed: {error:?}"
            )));
        }
        (_, Err(error)) => {
            return Err(TestCaseError::fail(format!(
                "{method}: the model failed: {error:?}"
            )));
        }
    };
    if found == expected {
        Ok(found)
    } else {
        Err(TestCaseError::fail(format!(
            "{method} says\n  {found:?}\nand the rule says\n  {expected:?}"
        )))
    }
}

/// So many seconds, and a microsecond for each: no time is a whole second or millisecond, and yet leases and waits meet.
pub(super) fn seconds(number: u8) -> Duration {
    Duration::from_micros(u64::from(number) * 1_000_001)
}
