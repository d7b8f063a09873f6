//! What comes again is answered as the rule says, and a store that keeps another time is found out.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;
use tollgate_core::ManualClock;
use tollgate_core::store::memory::{MemoryQuota, MemoryVelocity};
use tollgate_testkit::growth::{counters_come_again, hashed, quotas_come_again};

const WINDOW: Duration = Duration::from_millis(200);

#[tokio::test]
async fn the_rule_passes() {
    let clock = ManualClock::default();
    quotas_come_again(&MemoryQuota::with(100, clock.clone()), &clock, WINDOW, 600).await;
    counters_come_again(&MemoryVelocity::with(100, clock.clone()), &clock, WINDOW, 600).await;
}

/// What is over counts on: its clock stands still.
#[tokio::test]
#[should_panic(expected = "turn ")]
async fn quotas_that_are_never_over_are_found_out() {
    let stands = MemoryQuota::with(100, ManualClock::default());
    quotas_come_again(&stands, &ManualClock::default(), WINDOW, 600).await;
}

#[tokio::test]
#[should_panic(expected = "turn ")]
async fn events_that_are_never_over_are_found_out() {
    let stands = MemoryVelocity::with(100, ManualClock::default());
    counters_come_again(&stands, &ManualClock::default(), WINDOW, 600).await;
}

#[test]
fn no_two_keys_are_equal() {
    let keys: std::collections::HashSet<_> = (0..10_000).map(hashed).collect();
    assert_eq!(keys.len(), 10_000);
}
