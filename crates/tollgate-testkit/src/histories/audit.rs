//! Audit chains.

use super::Trial;
use super::pair::{Pair, seconds};
use proptest::prelude::*;
use std::sync::Arc;
use tollgate_core::store::audit::AuditStore;
use tollgate_core::store::memory::MemoryAudit;

/// Alike to whoever folds names.
const CHAINS: [&str; 2] = ["payments", "Payments"];

#[derive(Clone, Debug)]
pub(super) enum Step {
    Append {
        chain: usize,
        body: Vec<u8>,
    },
    Read {
        chain: usize,
        after: u64,
        limit: u32,
    },
    Wait(u8),
    /// The clock is set back, by so many seconds.
    SetBack(u8),
    Disturb(u8),
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..CHAINS.len(), proptest::collection::vec(any::<u8>(), 0..4)).prop_map(|(chain, body)| Step::Append { chain, body }),
        2 => (0..CHAINS.len(), 0u64..6, 0u32..4).prop_map(|(chain, after, limit)| Step::Read { chain, after, limit }),
        2 => (0u8..30).prop_map(Step::Wait),
        1 => (0u8..90).prop_map(Step::SetBack),
        1 => any::<u8>().prop_map(Step::Disturb),
    ]
}

pub(super) async fn walk<T>(pair: &mut Pair<T, MemoryAudit>, steps: Vec<Step>) -> Result<(), TestCaseError>
where
    T: Trial<Store: AuditStore>,
{
    for step in steps {
        match step {
            Step::Append { chain, body } => {
                both!(pair, append(CHAINS[chain], Arc::<[u8]>::from(body.as_slice())));
            }
            Step::Read { chain, after, limit } => {
                both!(pair, read(CHAINS[chain], after, limit));
            }
            Step::Wait(time) => pair.advance(seconds(time)).await,
            Step::SetBack(time) => pair.set_back(seconds(time)).await,
            Step::Disturb(how) => pair.trial.disturb(how).await,
        }
        for chain in CHAINS {
            both!(pair, head(chain));
        }
        pair.trial.inspect().await;
    }
    for chain in CHAINS {
        both!(pair, read(chain, 0, 1_000));
    }
    Ok(())
}
