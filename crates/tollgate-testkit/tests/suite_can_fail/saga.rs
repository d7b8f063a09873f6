//! Journals in the state they are found in.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tollgate_core::store::saga::rule::{self, Row};
use tollgate_core::store::saga::{Append, Created, Fenced, Journal, NewSaga, SagaId, SagaJournal, SagaState};
use tollgate_core::store::{Boxed, StoreError};
use tollgate_core::{Clock, ManualClock, Timestamp};
use tollgate_testkit::conformance::saga as suite;
use tollgate_testkit::histories::{Histories, Plain};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Flaw {
    None,
    ForgetsTheFirstRecords,
    IgnoresTheKey,
    Overwrites,
    WritesInFront,
    ForgetsTheEpoch,
    ForgetsTheCount,
    WritesToNothing,
    ClaimsTheLiving,
    KeepsTheEpoch,
    RenewsNothing,
    ClaimsAnyName,
    ClaimsWhatEnded,
    IgnoresTheLimit,
    ClaimsOneOnlyIfActive,
    ListsEverything,
    ClaimsAllForOne,
    Torn,
}

const FLAWS: &[(Flaw, &[&str])] = &[
    (
        Flaw::ForgetsTheFirstRecords,
        &["a_saga_is_created_with_its_first_records"],
    ),
    (Flaw::IgnoresTheKey, &["one_saga_per_name_and_key"]),
    (Flaw::Overwrites, &["a_used_id_never_overwrites"]),
    (Flaw::WritesInFront, &["appends_are_kept_in_order"]),
    (
        Flaw::ForgetsTheEpoch,
        &[
            "an_append_under_a_stale_epoch_writes_nothing",
            "a_lapsed_saga_is_claimed_and_its_engine_fenced",
        ],
    ),
    (
        Flaw::ForgetsTheCount,
        &["an_append_that_missed_records_writes_nothing"],
    ),
    (Flaw::WritesToNothing, &["an_append_to_nothing_is_fenced"]),
    (
        Flaw::ClaimsTheLiving,
        &["a_live_saga_is_not_claimed", "no_saga_is_claimed_by_two_engines"],
    ),
    (
        Flaw::KeepsTheEpoch,
        &["a_lapsed_saga_is_claimed_and_its_engine_fenced"],
    ),
    (Flaw::RenewsNothing, &["appending_and_renewing_extend_the_lease"]),
    (Flaw::ClaimsAnyName, &["only_known_definitions_are_claimed"]),
    (Flaw::ClaimsWhatEnded, &["only_active_sagas_are_claimed"]),
    (Flaw::IgnoresTheLimit, &["no_more_are_claimed_than_asked"]),
    (
        Flaw::ClaimsOneOnlyIfActive,
        &["a_person_may_claim_one_saga_in_any_state"],
    ),
    (Flaw::ListsEverything, &["sagas_are_listed_by_state_in_pages"]),
    (Flaw::ClaimsAllForOne, &["sagas_do_not_touch_each_other"]),
    (
        Flaw::Torn,
        &["one_of_many_creations_wins", "no_saga_is_claimed_by_two_engines"],
    ),
];

const UNSEEN: &[Flaw] = &[Flaw::Torn, Flaw::IgnoresTheLimit];

fn walk(histories: &Histories, flaw: Flaw) {
    histories.saga(async |clock| Plain(store(flaw, clock)));
}

tollgate_testkit::each_saga_property!(proves_itself);

fn store(flaw: Flaw, clock: ManualClock) -> Flawed {
    Flawed {
        flaw,
        clock,
        sagas: Arc::default(),
    }
}

type Sagas = BTreeMap<SagaId, (Journal, Timestamp)>;

#[derive(Debug)]
struct Flawed {
    flaw: Flaw,
    clock: ManualClock,
    sagas: Arc<Mutex<Sagas>>,
}

impl Flawed {
    /// One step; torn in two, with a pause between looking and writing, if that is the flaw.
    fn step<L: Send + 'static, T: Send + 'static>(
        &self,
        look: impl FnOnce(Flaw, &Sagas, Timestamp) -> L + Send + 'static,
        write: impl FnOnce(L, Flaw, &mut Sagas, Timestamp) -> Result<T, StoreError> + Send + 'static,
    ) -> Boxed<T> {
        let (flaw, now, sagas) = (self.flaw, self.clock.now(), Arc::clone(&self.sagas));
        Box::pin(async move {
            let seen = look(flaw, &sagas.lock().unwrap(), now);
            if flaw == Flaw::Torn {
                tokio::task::yield_now().await;
            }
            write(seen, flaw, &mut sagas.lock().unwrap(), now)
        })
    }
}

fn row(kept: &(Journal, Timestamp)) -> Row {
    Row {
        state: kept.0.state,
        epoch: kept.0.epoch,
        records: u64::try_from(kept.0.records.len()).unwrap(),
        lease_until: kept.1,
    }
}

fn claim(flaw: Flaw, kept: &mut (Journal, Timestamp), lease: Duration, now: Timestamp) -> Journal {
    let next = rule::claimed(&row(kept), lease, now);
    if flaw != Flaw::KeepsTheEpoch {
        kept.0.epoch = next.epoch;
    }
    kept.1 = next.lease_until;
    kept.0.clone()
}

fn is_due(flaw: Flaw, kept: &(Journal, Timestamp), names: &[Arc<str>], now: Timestamp) -> bool {
    let mut row = row(kept);
    match flaw {
        Flaw::ClaimsTheLiving => row.lease_until = now,
        Flaw::ClaimsWhatEnded => row.state = SagaState::Running,
        _ => {}
    }
    (flaw == Flaw::ClaimsAnyName || names.contains(&kept.0.name)) && rule::is_claimable(&row, now)
}

fn append(flaw: Flaw, asked: Append, sagas: &mut Sagas, now: Timestamp) -> Fenced {
    let Some(kept) = sagas.get_mut(&asked.id) else {
        return if flaw == Flaw::WritesToNothing {
            Fenced::No
        } else {
            Fenced::Yes
        };
    };
    let mut row = row(kept);
    match flaw {
        Flaw::ForgetsTheEpoch => row.epoch = asked.epoch,
        Flaw::ForgetsTheCount => row.records = asked.seen,
        _ => {}
    }
    let (fenced, next) = rule::append(&row, asked.epoch, asked.seen, 0, asked.state, asked.lease, now);
    if fenced == Fenced::No {
        kept.0.state = next.state;
        kept.1 = next.lease_until;
        let place = if flaw == Flaw::WritesInFront {
            0
        } else {
            kept.0.records.len()
        };
        kept.0.records.splice(place..place, asked.records);
    }
    fenced
}

impl SagaJournal for Flawed {
    type Future<T: Send + 'static> = Boxed<T>;

    fn create(&self, saga: NewSaga) -> Boxed<Created> {
        let (name, key) = (Arc::clone(&saga.name), Arc::clone(&saga.key));
        self.step(
            move |_, sagas, _| {
                let same = |(journal, _): &&(Journal, Timestamp)| journal.name == name && journal.key == key;
                sagas.values().find(same).map(|(journal, _)| journal.id)
            },
            move |exists, flaw, sagas, now| {
                if let Some(id) = exists
                    && flaw != Flaw::IgnoresTheKey
                {
                    return Ok(Created::Exists(id));
                }
                if sagas.contains_key(&saga.id) && flaw != Flaw::Overwrites {
                    return Err(StoreError::unavailable("the id is taken"));
                }
                let records = if flaw == Flaw::ForgetsTheFirstRecords {
                    Vec::new()
                } else {
                    saga.records
                };
                let journal = Journal {
                    id: saga.id,
                    name: saga.name,
                    key: saga.key,
                    state: SagaState::Running,
                    epoch: 1,
                    records,
                };
                sagas.insert(saga.id, (journal, now.saturating_add(saga.lease)));
                Ok(Created::Created)
            },
        )
    }

    fn append(&self, asked: Append) -> Boxed<Fenced> {
        self.step(
            |_, _, _| (),
            |(), flaw, sagas, now| Ok(append(flaw, asked, sagas, now)),
        )
    }

    fn claim(&self, names: &[Arc<str>], lease: Duration, limit: u32) -> Boxed<Vec<Journal>> {
        let names = names.to_vec();
        let limit = if self.flaw == Flaw::IgnoresTheLimit {
            u32::MAX
        } else {
            limit
        };
        self.step(
            move |flaw, sagas, now| {
                let due = sagas
                    .iter()
                    .filter(|(_, kept)| is_due(flaw, kept, &names, now))
                    .map(|(id, _)| *id);
                due.take(usize::try_from(limit).unwrap()).collect::<Vec<_>>()
            },
            move |due, flaw, sagas, now| {
                let claimed = due
                    .iter()
                    .map(|id| claim(flaw, sagas.get_mut(id).unwrap(), lease, now));
                Ok(claimed.collect())
            },
        )
    }

    fn claim_one(&self, id: SagaId, lease: Duration) -> Boxed<Option<Journal>> {
        self.step(
            |_, _, _| (),
            move |(), flaw, sagas, now| {
                if flaw == Flaw::ClaimsAllForOne {
                    sagas
                        .values_mut()
                        .for_each(|kept| drop(claim(flaw, kept, lease, now)));
                }
                let kept = sagas
                    .get_mut(&id)
                    .filter(|kept| kept.0.state.is_active() || flaw != Flaw::ClaimsOneOnlyIfActive);
                Ok(kept.map(|kept| claim(flaw, kept, lease, now)))
            },
        )
    }

    fn renew(&self, id: SagaId, epoch: u64, lease: Duration) -> Boxed<Fenced> {
        self.step(
            |_, _, _| (),
            move |(), flaw, sagas, now| {
                Ok(match sagas.get_mut(&id) {
                    Some(kept) if kept.0.epoch == epoch => {
                        if flaw != Flaw::RenewsNothing {
                            kept.1 = now.saturating_add(lease);
                        }
                        Fenced::No
                    }
                    _ => Fenced::Yes,
                })
            },
        )
    }

    fn load(&self, id: SagaId) -> Boxed<Option<Journal>> {
        self.step(
            move |_, sagas, _| sagas.get(&id).map(|kept| kept.0.clone()),
            |found, _, _, _| Ok(found),
        )
    }

    fn list(&self, state: SagaState, after: Option<SagaId>, limit: u32) -> Boxed<Vec<SagaId>> {
        self.step(
            move |flaw, sagas, _| {
                let listed = |(id, kept): &(&SagaId, &(Journal, Timestamp))| {
                    (kept.0.state == state || flaw == Flaw::ListsEverything)
                        && after.is_none_or(|after| **id > after)
                };
                let found = sagas.iter().filter(listed).map(|(id, _)| *id);
                found.take(usize::try_from(limit).unwrap()).collect()
            },
            |found, _, _, _| Ok(found),
        )
    }
}
