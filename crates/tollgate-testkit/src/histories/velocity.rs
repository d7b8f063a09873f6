//! Velocity counters.

use super::Trial;
use super::pair::Pair;
use proptest::prelude::*;
use std::time::Duration;
use tollgate_core::store::memory::MemoryVelocity;
use tollgate_core::store::velocity::{Admit, VelocityKey, VelocityStore};

const WINDOW: Duration = Duration::from_secs(10);

#[derive(Clone, Debug)]
pub(super) enum Step {
    Admit {
        key: u8,
        weight: u64,
    },
    /// So many times 311 milliseconds.
    Wait(u8),
    Disturb(u8),
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let weight = prop_oneof![29 => 0u64..29, 1 => Just(u64::MAX)];
    prop_oneof![
        3 => (0u8..4, weight).prop_map(|(key, weight)| Step::Admit { key, weight }),
        3 => (0u8..30).prop_map(Step::Wait),
        1 => any::<u8>().prop_map(Step::Disturb),
    ]
}

pub(super) async fn walk<T>(pair: &mut Pair<T, MemoryVelocity>, steps: Vec<Step>) -> Result<(), TestCaseError>
where
    T: Trial<Store: VelocityStore>,
{
    for step in steps {
        match step {
            Step::Admit { key, weight } => {
                let admit = Admit {
                    key: VelocityKey([key; 32]),
                    window: WINDOW * u32::from(1 + key % 3), // a counter has one window
                    weight,
                    limit: if key == 3 { u64::MAX } else { 60 },
                };
                both!(pair, admit(admit));
            }
            Step::Wait(number) => pair.advance(Duration::from_millis(311) * u32::from(number)).await,
            Step::Disturb(how) => pair.trial.disturb(how).await,
        }
        pair.trial.inspect().await;
    }
    Ok(())
}
