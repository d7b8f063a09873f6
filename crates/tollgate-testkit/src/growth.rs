//! Keys that come and are over: for tests that a store's tables stay in proportion to what is alive, although nobody comes again for
//! what is over, and that nobody's answer depends on what a neighbour removed.
//!
//! How many rows there are, only a store itself can count. What comes and goes stands here, for each store the same:
//!
//! ```
//! use std::time::Duration;
//! use tollgate_core::ManualClock;
//! use tollgate_core::store::memory::{MemoryQuota, MemoryVelocity};
//! use tollgate_testkit::growth;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let clock = ManualClock::default();
//! // instead of these two: a store of your own that takes its time from this clock
//! let quotas = MemoryQuota::with(1_000, clock.clone());
//! let counters = MemoryVelocity::with(1_000, clock.clone());
//! growth::quotas_come_again(&quotas, &clock, Duration::from_secs(1), 200).await;
//! growth::counters_come_again(&counters, &clock, Duration::from_secs(1), 200).await;
//! # }
//! ```

use std::num::NonZeroU32;
use std::time::Duration;
use tollgate_core::ManualClock;
use tollgate_core::store::memory::{MemoryQuota, MemoryVelocity};
use tollgate_core::store::quota::{Quota, QuotaKey, QuotaStore, Take};
use tollgate_core::store::velocity::{Admit, VelocityKey, VelocityStore};

/// The key of this number, as a keyed hash would be: somewhere, and no two are equal (the finaliser of MurmurHash3, a permutation).
#[must_use]
pub fn hashed(number: u32) -> [u8; 32] {
    let mut key = [0; 32];
    key[..4].copy_from_slice(&mixed(number).to_be_bytes());
    key
}

/// A number that looks like chance and is the same in every run.
#[must_use]
pub const fn mixed(number: u32) -> u32 {
    let once = (number ^ (number >> 15)).wrapping_mul(0x85eb_ca6b);
    let twice = (once ^ (once >> 15)).wrapping_mul(0xc2b2_ae35);
    twice ^ (twice >> 16)
}

/// The one unit that the key of this number has in this window.
#[must_use]
pub fn take(number: u32, window: Duration) -> Take {
    Take {
        key: QuotaKey(hashed(number)),
        quota: Quota::new(NonZeroU32::MIN, window),
        cost: 1,
    }
}

/// One event of a hundred that the key of this number may have in this window.
#[must_use]
pub fn admit(number: u32, window: Duration) -> Admit {
    Admit {
        key: VelocityKey(hashed(number)),
        window,
        weight: 1,
        limit: 100,
    }
}

/// So many turns of takes under 64 keys, two at a time, some of which are given back, and of time that passes: each answer is what the
/// in-memory store says of the same. The store is to be empty, and to take its time from this clock.
///
/// # Panics
/// When an answer differs, or the store fails.
pub async fn quotas_come_again(store: &impl QuotaStore, clock: &ManualClock, window: Duration, turns: u32) {
    let rule = MemoryQuota::with(100_000, clock.clone());
    for turn in 0..turns {
        let chance = mixed(turn);
        let takes = [chance, chance >> 8].map(|number| Take {
            quota: Quota::new(NonZeroU32::MIN.saturating_add(3), window),
            ..take(number % 64, window)
        });
        let (taken, expected) = (store.take(&takes).await, rule.take(&takes).await);
        assert_eq!(answer(taken), answer(expected), "turn {turn}");
        if chance.is_multiple_of(7) {
            answer(store.give_back(takes[0]).await);
            answer(rule.give_back(takes[0]).await);
        }
        pass(clock, window, chance);
    }
}

/// So many turns of events under 64 keys, of which three count in a window, and of time that passes: each answer is what the in-memory
/// store says of the same. The store is to be empty, and to take its time from this clock.
///
/// # Panics
/// When an answer differs, or the store fails.
pub async fn counters_come_again(
    store: &impl VelocityStore,
    clock: &ManualClock,
    window: Duration,
    turns: u32,
) {
    let rule = MemoryVelocity::with(100_000, clock.clone());
    for turn in 0..turns {
        let chance = mixed(turn);
        let event = Admit {
            limit: 3,
            ..admit((chance >> 16) % 64, window)
        };
        let (admitted, expected) = (store.admit(event).await, rule.admit(event).await);
        assert_eq!(answer(admitted), answer(expected), "turn {turn}");
        pass(clock, window, chance);
    }
}

/// Up to a twelfth of the window passes.
fn pass(clock: &ManualClock, window: Duration, chance: u32) {
    clock.advance(window * (chance >> 29) / 80);
}

fn answer<T>(told: Result<T, tollgate_core::store::StoreError>) -> T {
    told.unwrap_or_else(|error| panic!("the store failed: {error:?}"))
}
