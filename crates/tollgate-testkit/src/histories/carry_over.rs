//! What reconciliation runs leave for the next.

use super::Trial;
use super::pair::Pair;
use proptest::prelude::*;
use std::sync::Arc;
use tollgate_core::store::carry_over::CarryOverStore;
use tollgate_core::store::memory::MemoryCarryOver;

/// Alike to whoever folds names.
const RUNS: [&str; 2] = ["daily", "Daily"];

#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Having seen this version.
    Replace {
        run: usize,
        seen: u64,
        body: Vec<u8>,
    },
    Disturb(u8),
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    // few bodies, so that the same one is left twice
    let body = || (0u8..4, 0usize..4).prop_map(|(byte, length)| vec![byte; length]);
    let replace = |(run, seen, body)| Step::Replace { run, seen, body };
    prop_oneof![
        4 => (0..RUNS.len(), 0u64..4, body()).prop_map(replace),
        1 => (0..RUNS.len(), Just(u64::MAX), body()).prop_map(replace),
        1 => any::<u8>().prop_map(Step::Disturb),
    ]
}

pub(super) async fn walk<T>(
    pair: &mut Pair<T, MemoryCarryOver>,
    steps: Vec<Step>,
) -> Result<(), TestCaseError>
where
    T: Trial<Store: CarryOverStore>,
{
    for step in steps {
        match step {
            Step::Replace { run, seen, body } => {
                both!(pair, replace(RUNS[run], seen, Arc::<[u8]>::from(body.as_slice())));
            }
            Step::Disturb(how) => pair.trial.disturb(how).await,
        }
        for run in RUNS {
            both!(pair, load(run));
        }
        pair.trial.inspect().await;
    }
    Ok(())
}
