//! Quotas.

use super::Trial;
use super::pair::Pair;
use proptest::prelude::*;
use std::num::NonZeroU32;
use std::time::Duration;
use tollgate_core::store::memory::MemoryQuota;
use tollgate_core::store::quota::{Quota, QuotaKey, QuotaStore, Take};

/// The clock never goes back here: a store may forget a quota once it is whole, and one that did so cannot know that it no longer is.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// From this one, and one unit from another, which may be the same.
    Take {
        key: u8,
        cost: u8,
    },
    GiveBack {
        key: u8,
        cost: u8,
    },
    /// So many times 311 milliseconds: between the instants at which units come back.
    Wait(u8),
    Disturb(u8),
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0u8..4, 0u8..9).prop_map(|(key, cost)| Step::Take { key, cost }),
        1 => (0u8..4, 0u8..9).prop_map(|(key, cost)| Step::GiveBack { key, cost }),
        3 => (0u8..30).prop_map(Step::Wait),
        1 => any::<u8>().prop_map(Step::Disturb),
    ]
}

/// Of 7 to 10 units, so that the larger costs never fit the smallest.
fn take(key: u8, cost: u8) -> Take {
    let units = NonZeroU32::MIN.saturating_add(6 + u32::from(key));
    Take {
        key: QuotaKey([key; 32]),
        quota: Quota::per_minute(units),
        cost: cost.into(),
    }
}

pub(super) async fn walk<T>(pair: &mut Pair<T, MemoryQuota>, steps: Vec<Step>) -> Result<(), TestCaseError>
where
    T: Trial<Store: QuotaStore>,
{
    for step in steps {
        match step {
            Step::Take { key, cost } => {
                both!(pair, take(&[take(key, cost), take(key / 2, 1)]));
            }
            Step::GiveBack { key, cost } => both!(pair, give_back(take(key, cost))),
            Step::Wait(number) => pair.advance(Duration::from_millis(311) * u32::from(number)).await,
            Step::Disturb(how) => pair.trial.disturb(how).await,
        }
        pair.trial.inspect().await;
    }
    Ok(())
}
