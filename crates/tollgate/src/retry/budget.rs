//! How many retries a fleet of calls may make together.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// A budget that all calls of a layer share: retries are at most a share of the calls, plus a few a second so that a quiet service
/// may retry at all. Whole numbers throughout (tower's own truncates a share of 0.6 to 1.0: tower #857). Clones share it.
///
/// ```
/// use tollgate::retry::RetryBudget;
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
/// let budget = RetryBudget::new(20, 1); // 20 retries per 100 calls, and 1 a second
/// assert!(budget.withdraw());
/// assert!(!budget.withdraw());          // spent
/// (0..5).for_each(|_| budget.deposit());
/// assert!(budget.withdraw());           // five calls earned one retry
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct RetryBudget(Arc<Mutex<Balance>>);

#[derive(Debug)]
struct Balance {
    /// In hundredths of a retry.
    hundredths: u64,
    percent: u64,
    per_second: u64,
    refilled: Instant,
}

const ONE: u64 = 100;

impl RetryBudget {
    /// So many retries per hundred calls, and so many a second on top. Holds ten seconds' worth at most.
    #[must_use]
    pub fn new(percent: u32, per_second: u32) -> Self {
        let per_second = u64::from(per_second);
        Self(Arc::new(Mutex::new(Balance {
            hundredths: per_second * ONE,
            percent: u64::from(percent),
            per_second,
            refilled: Instant::now(),
        })))
    }

    /// A call was made.
    pub fn deposit(&self) {
        let mut balance = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = balance.most();
        balance.hundredths = (balance.hundredths + balance.percent).min(room);
    }

    /// Asks for a retry.
    #[must_use]
    pub fn withdraw(&self) -> bool {
        let mut balance = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        balance.refill();
        let enough = balance.hundredths >= ONE;
        if enough {
            balance.hundredths -= ONE;
        }
        enough
    }
}

impl Balance {
    fn most(&self) -> u64 {
        (self.per_second * 10 * ONE).max(10 * ONE)
    }

    fn refill(&mut self) {
        let passed = u64::try_from(self.refilled.elapsed().as_millis()).unwrap_or(u64::MAX);
        let earned = passed.saturating_mul(self.per_second) / 10; // hundredths: ms × n/s × 100 ÷ 1000
        if earned > 0 {
            self.hundredths = self.hundredths.saturating_add(earned).min(self.most());
            // what was too short to earn anything counts next time
            self.refilled +=
                Duration::from_millis(earned.saturating_mul(10).div_ceil(self.per_second).min(passed));
        }
    }
}

impl Default for RetryBudget {
    /// 20 % and 10 a second: Finagle's numbers.
    fn default() -> Self {
        Self::new(20, 10)
    }
}
