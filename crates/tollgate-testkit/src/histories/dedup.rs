//! Webhook events.

use super::Trial;
use super::pair::{Pair, seconds};
use proptest::prelude::*;
use proptest::sample::Index;
use std::time::Duration;
use tollgate_core::store::dedup::{Claim, Claimed, DedupStore, EventDigest, EventKey, Ticket};
use tollgate_core::store::memory::MemoryDedup;

#[derive(Clone, Debug)]
pub(super) enum Step {
    Claim {
        key: u8,
        digest: u8,
        lease: u8,
    },
    /// With one of the tickets that were handed out so far; kept so long.
    Commit(Index, u8),
    Release(Index),
    Forget,
    WaitADay,
    Wait(u8),
    /// The clock is set back, by so many seconds.
    SetBack(u8),
    Disturb(u8),
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let ticket = any::<Index>;
    prop_oneof![
        // one delivery in six has other bytes
        4 => (0u8..3, 0u8..6, 0u8..30).prop_map(|(key, digest, lease)| Step::Claim { key, digest: digest / 5, lease }),
        2 => (ticket(), 0u8..30).prop_map(|(ticket, retention)| Step::Commit(ticket, retention)),
        1 => ticket().prop_map(Step::Release),
        1 => Just(Step::Forget),
        1 => Just(Step::WaitADay),
        3 => (0u8..30).prop_map(Step::Wait),
        1 => (0u8..90).prop_map(Step::SetBack),
        1 => any::<u8>().prop_map(Step::Disturb),
    ]
}

pub(super) async fn walk<T>(pair: &mut Pair<T, MemoryDedup>, steps: Vec<Step>) -> Result<(), TestCaseError>
where
    T: Trial<Store: DedupStore>,
{
    // the first was never handed out
    let mut tickets = vec![Ticket {
        key: EventKey([0; 32]),
        fence: 1,
    }];
    for step in steps {
        match step {
            Step::Claim { key, digest, lease } => {
                let claim = Claim {
                    key: EventKey([key; 32]),
                    digest: EventDigest([digest; 32]),
                    lease: seconds(lease),
                };
                if let Claimed::Acquired(ticket) = both!(pair, claim(claim)) {
                    tickets.push(ticket);
                }
            }
            Step::Commit(ticket, retention) => {
                both!(pair, commit(*ticket.get(&tickets), seconds(retention)));
            }
            Step::Release(ticket) => {
                both!(pair, release(*ticket.get(&tickets)));
            }
            Step::Forget => {
                both!(pair, forget(100));
            }
            Step::WaitADay => pair.advance(Duration::from_secs(24 * 60 * 60)).await,
            Step::Wait(time) => pair.advance(seconds(time)).await,
            Step::SetBack(time) => pair.set_back(seconds(time)).await,
            Step::Disturb(how) => pair.trial.disturb(how).await,
        }
        pair.trial.inspect().await;
    }
    Ok(())
}
