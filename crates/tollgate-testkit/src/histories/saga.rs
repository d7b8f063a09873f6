//! Saga journals.

use super::Trial;
use super::pair::{Pair, seconds};
use proptest::prelude::*;
use proptest::sample::select;
use std::sync::Arc;
use std::time::Duration;
use tollgate_core::store::memory::MemorySaga;
use tollgate_core::store::saga::{Append, NewSaga, SagaId, SagaJournal, SagaState};

const LEASE: Duration = Duration::from_secs(10);

/// Something that happens to one of four sagas.
#[derive(Clone, Debug)]
pub(super) struct Step {
    saga: u8,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Create {
        records: usize,
        /// An id that is used for another business key is refused.
        other_key: bool,
    },
    Append {
        view: View,
        records: usize,
        state: SagaState,
        lease: u8,
    },
    Claim,
    ClaimOne {
        lease: u8,
    },
    Renew {
        view: View,
        lease: u8,
    },
    Wait(u8),
    /// The clock is set back, by so many seconds.
    SetBack(u8),
    Disturb(u8),
}

/// What an engine believes of its saga.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum View {
    Right,
    OfAnEpochThatIsOver,
    OfAnEpochToCome,
    OfRecordsToCome,
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let view = || {
        prop_oneof![
            6 => Just(View::Right),
            1 => Just(View::OfAnEpochThatIsOver),
            1 => Just(View::OfAnEpochToCome),
            2 => Just(View::OfRecordsToCome),
        ]
    };
    let lease = || 0u8..30;
    let what = prop_oneof![
        2 => (0usize..3, 0u8..5).prop_map(|(records, dice)| What::Create { records, other_key: dice == 0 }),
        4 => (view(), 0usize..4, select(&SagaState::ALL[..]), lease())
            .prop_map(|(view, records, state, lease)| What::Append { view, records, state, lease }),
        1 => Just(What::Claim),
        1 => lease().prop_map(|lease| What::ClaimOne { lease }),
        1 => (view(), lease()).prop_map(|(view, lease)| What::Renew { view, lease }),
        3 => (0u8..30).prop_map(What::Wait),
        1 => (0u8..90).prop_map(What::SetBack),
        1 => any::<u8>().prop_map(What::Disturb),
    ];
    (0u8..4, what).prop_map(|(saga, what)| Step { saga, what })
}

/// The last two want one business key; the second is of another definition.
fn new(saga: u8, records: usize, other_key: bool) -> NewSaga {
    let order = if other_key { 9 } else { saga.min(2) };
    NewSaga {
        id: SagaId([saga; 16]),
        name: if saga == 1 { "refund" } else { "checkout" }.into(),
        key: format!("order-{order}").into(),
        records: vec![[saga][..].into(); records],
        lease: LEASE,
    }
}

pub(super) async fn walk<T>(pair: &mut Pair<T, MemorySaga>, steps: Vec<Step>) -> Result<(), TestCaseError>
where
    T: Trial<Store: SagaJournal>,
{
    for Step { saga, what } in steps {
        take(pair, saga, what).await?;
        both!(pair, load(SagaId([saga; 16])));
        for state in SagaState::ALL {
            both!(pair, list(state, Some(SagaId([0; 16])), 3));
        }
        pair.trial.inspect().await;
    }
    Ok(())
}

async fn take<T>(pair: &mut Pair<T, MemorySaga>, saga: u8, what: What) -> Result<(), TestCaseError>
where
    T: Trial<Store: SagaJournal>,
{
    let id = SagaId([saga; 16]);
    let (epoch, seen) = match both!(pair, load(id)) {
        Some(journal) => (
            journal.epoch,
            u64::try_from(journal.records.len()).unwrap_or(u64::MAX),
        ),
        None => (1, 0),
    };
    let believed = |view| match view {
        View::Right | View::OfRecordsToCome => epoch,
        View::OfAnEpochThatIsOver => epoch.saturating_sub(1),
        View::OfAnEpochToCome => epoch + 1,
    };
    match what {
        What::Create { records, other_key } => {
            let new = new(saga, records, other_key);
            let asked = [format!("{new:?}")];
            let found = pair.trial.store().create(new.clone()).await;
            let expected = pair.model.create(new).await;
            if found.is_ok() || expected.is_ok() {
                pair.same("create", &asked, found, expected)?;
            }
        }
        What::Append {
            view,
            records,
            state,
            lease,
        } => {
            let append = Append {
                id,
                epoch: believed(view),
                seen: seen + u64::from(view == View::OfRecordsToCome),
                records: (0..records).map(|_| Arc::from([saga, lease])).collect(),
                state,
                lease: seconds(lease),
            };
            both!(pair, append(append.clone()));
        }
        What::Claim => {
            // in any order
            let names = ["checkout".into()];
            let mut found = pair.trial.store().claim(&names, LEASE, 100).await;
            if let Ok(found) = &mut found {
                found.sort_unstable_by_key(|journal| journal.id);
            }
            let expected = pair.model.claim(&names, LEASE, 100).await;
            pair.same("claim", &[format!("{names:?}")], found, expected)?;
        }
        What::ClaimOne { lease } => {
            both!(pair, claim_one(id, seconds(lease)));
        }
        What::Renew { view, lease } => {
            both!(pair, renew(id, believed(view), seconds(lease)));
        }
        What::Wait(time) => pair.advance(seconds(time)).await,
        What::SetBack(time) => pair.set_back(seconds(time)).await,
        What::Disturb(how) => pair.trial.disturb(how).await,
    }
    Ok(())
}
