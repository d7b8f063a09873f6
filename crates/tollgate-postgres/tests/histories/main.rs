//! Random histories: whatever is asked of it, in whatever order, at whatever times, and across reconnecting, the database answers as
//! the in-memory store does, and holds the same records. What SQL decides by itself (the fused begin and settlement, the sweep, the
//! collection, the saga's fence) is compared with core's rules here.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod records;
#[path = "../support/mod.rs"]
mod support;

use proptest::prelude::*;
use std::cell::RefCell;
use std::time::Duration;
use support::{Database, block_on};
use tollgate_core::store::carry_over::CarryOverStore;
use tollgate_core::store::dedup::{Claim, Claimed, DedupStore, EventDigest, EventKey, Ticket};
use tollgate_core::store::memory::{MemoryCarryOver, MemoryDedup, MemoryQuota, MemorySaga, MemoryVelocity};
use tollgate_core::store::quota::{Quota, QuotaKey, QuotaStore, Take};
use tollgate_core::store::saga::{Append, NewSaga, SagaId, SagaJournal, SagaState};
use tollgate_core::store::velocity::{Admit, VelocityKey, VelocityStore};
use tollgate_core::{ManualClock, Timestamp};
use tollgate_postgres::Postgres;

const LEASE: Duration = Duration::from_secs(10);

thread_local! {
    /// The databases that earlier histories of this test have left: making one and dropping it costs more than a history.
    static USED: RefCell<Vec<Database>> = const { RefCell::new(Vec::new()) };
}

/// An empty database.
async fn empty() -> Database {
    let Some(used) = USED.with_borrow_mut(Vec::pop) else {
        return Database::fresh().await;
    };
    used.run(
        "truncate tollgate.idempotency, tollgate.dedup, tollgate.quota, tollgate.velocity, tollgate.audit, \
         tollgate.carry_over, tollgate.saga, tollgate.saga_record",
    )
    .await;
    used
}

/// The database, the model, and their one clock.
pub(crate) struct Pair<M> {
    pub(crate) store: Postgres,
    pub(crate) model: M,
    pub(crate) clock: ManualClock,
    /// There as long as the pair is.
    database: Option<Database>,
}

impl<M> Drop for Pair<M> {
    fn drop(&mut self) {
        USED.with_borrow_mut(|used| used.extend(self.database.take()));
    }
}

impl<M> Pair<M> {
    pub(crate) async fn new(model: impl FnOnce(ManualClock) -> M) -> Self {
        let database = empty().await;
        let clock = ManualClock::at(Timestamp::from_unix_seconds(1_700_000_000));
        Self {
            store: database.store_with(clock.clone()).await,
            model: model(clock.clone()),
            clock,
            database: Some(database),
        }
    }

    pub(crate) async fn reconnect(&mut self) {
        self.store.close().await;
        let database = self.database.as_ref().unwrap();
        self.store = database.store_with(self.clock.clone()).await;
    }
}

/// Asks both and compares their answers.
macro_rules! both {
    ($pair:expr, $port:ident::$method:ident($($argument:expr),*)) => {{
        let found = $port::$method(&$pair.store, $($argument),*).await.unwrap();
        let expected = $port::$method(&$pair.model, $($argument),*).await.unwrap();
        prop_assert_eq!(&found, &expected);
        found
    }};
}
pub(crate) use both;

pub(crate) fn seconds(number: u8) -> Duration {
    Duration::from_secs(number.into())
}

async fn dedup(steps: Vec<(u8, u8, u8, prop::sample::Index)>) -> Result<(), TestCaseError> {
    let mut pair = Pair::new(|clock| MemoryDedup::with(10_000, clock)).await;
    let mut tickets = vec![Ticket {
        key: EventKey([0; 32]),
        fence: 1,
    }];
    for (what, key, number, ticket) in steps {
        let ticket = *ticket.get(&tickets);
        match what {
            0..=3 => {
                let claim = Claim {
                    key: EventKey([key; 32]),
                    digest: EventDigest([number / 25; 32]),
                    lease: seconds(number),
                };
                if let Claimed::Acquired(ticket) = both!(pair, DedupStore::claim(claim)) {
                    tickets.push(ticket);
                }
            }
            4 | 5 => drop(both!(pair, DedupStore::commit(ticket, seconds(number)))),
            6 => drop(both!(pair, DedupStore::release(ticket))),
            7 => drop(both!(pair, DedupStore::forget(100))),
            8 => pair.reconnect().await,
            9 => pair.clock.advance(Duration::from_secs(24 * 60 * 60)),
            _ => pair.clock.advance(seconds(number)),
        }
    }
    Ok(())
}

async fn quota_and_velocity(steps: Vec<(u8, u8, u8)>) -> Result<(), TestCaseError> {
    let mut quotas = Pair::new(|clock| MemoryQuota::with(10_000, clock)).await;
    let mut counters = Pair::new(|clock| MemoryVelocity::with(10_000, clock)).await;
    let take = |key: u8, cost: u8| Take {
        key: QuotaKey([key; 32]),
        quota: Quota::per_minute(std::num::NonZeroU32::new(7 + u32::from(key)).unwrap()),
        cost: cost.into(),
    };
    for (what, key, number) in steps {
        match what {
            0..=2 => drop(both!(
                quotas,
                QuotaStore::take(&[take(key, number % 9), take(key / 2, 1)])
            )),
            3 => both!(quotas, QuotaStore::give_back(take(key, number % 9))),
            4..=6 => {
                let weight = if number == 29 { u64::MAX } else { number.into() };
                let limit = if key == 3 { u64::MAX } else { 60 };
                let key = VelocityKey([key; 32]);
                both!(
                    counters,
                    VelocityStore::admit(Admit {
                        key,
                        window: LEASE,
                        weight,
                        limit
                    })
                );
            }
            7 => {
                quotas.reconnect().await;
                counters.reconnect().await;
            }
            _ => {
                quotas
                    .clock
                    .advance(Duration::from_millis(u64::from(number) * 311));
                counters
                    .clock
                    .advance(Duration::from_millis(u64::from(number) * 311));
            }
        }
    }
    Ok(())
}

async fn carry_over(steps: Vec<(u8, u8, u64)>) -> Result<(), TestCaseError> {
    let mut pair = Pair::new(|_| MemoryCarryOver::new()).await;
    for (what, run, number) in steps {
        let run = format!("run-{run}");
        match what {
            0 => pair.reconnect().await,
            1 => drop(both!(
                pair,
                CarryOverStore::replace(&run, u64::MAX, [0][..].into())
            )),
            _ => {
                let body = vec![what; usize::try_from(number).unwrap()];
                both!(
                    pair,
                    CarryOverStore::replace(&run, number, body.as_slice().into())
                );
            }
        }
        both!(pair, CarryOverStore::load(&run));
    }
    Ok(())
}

async fn saga(steps: Vec<(u8, u8, u8)>) -> Result<(), TestCaseError> {
    let mut pair = Pair::new(MemorySaga::with).await;
    for (what, saga, number) in steps {
        let id = SagaId([saga; 16]);
        let held = pair.model.load(id).await.unwrap();
        match what {
            0 | 1 => {
                let key = format!("order-{saga}").into();
                let records = vec![[number][..].into(); usize::from(number % 3)];
                let new = NewSaga {
                    id,
                    name: "checkout".into(),
                    key,
                    records,
                    lease: LEASE,
                };
                both!(pair, SagaJournal::create(new.clone()));
            }
            2..=5 => {
                let (epoch, seen) = held.map_or((1, 0), |journal| {
                    (journal.epoch, u64::try_from(journal.records.len()).unwrap())
                });
                // every fifth is stale in one way or the other
                let append = Append {
                    id,
                    epoch: epoch - u64::from(number % 5 == 0 && epoch > 0),
                    seen: seen + u64::from(number % 5 == 1),
                    records: vec![[number, what][..].into(); usize::from(number % 4)],
                    state: SagaState::ALL[usize::from(number) % 6],
                    lease: seconds(number),
                };
                both!(pair, SagaJournal::append(append.clone()));
            }
            6 => {
                let names = ["checkout".into()];
                let mut found = SagaJournal::claim(&pair.store, &names, LEASE, 100).await.unwrap();
                found.sort_unstable_by_key(|journal| journal.id);
                prop_assert_eq!(found, pair.model.claim(&names, LEASE, 100).await.unwrap());
            }
            7 => drop(both!(pair, SagaJournal::claim_one(id, seconds(number)))),
            8 => {
                let epoch = held.map_or(1, |journal| journal.epoch) + u64::from(number % 2);
                both!(pair, SagaJournal::renew(id, epoch, seconds(number)));
            }
            9 => pair.reconnect().await,
            _ => pair.clock.advance(seconds(number)),
        }
        both!(pair, SagaJournal::load(id));
        for state in SagaState::ALL {
            both!(pair, SagaJournal::list(state, Some(SagaId([0; 16])), 3));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 8, ..ProptestConfig::default() })]

    #[test]
    fn idempotency_answers_as_the_model(steps in proptest::collection::vec(records::step(), 0..60)) {
        block_on(records::idempotency(steps))?;
    }

    #[test]
    fn dedup_answers_as_the_model(
        steps in proptest::collection::vec((0u8..13, 0u8..3, 0u8..30, any::<prop::sample::Index>()), 0..60)
    ) {
        block_on(dedup(steps))?;
    }

    #[test]
    fn quotas_and_counters_answer_as_the_model(steps in proptest::collection::vec((0u8..11, 0u8..4, 0u8..30), 0..60)) {
        block_on(quota_and_velocity(steps))?;
    }

    #[test]
    fn carry_overs_answer_as_the_model(steps in proptest::collection::vec((0u8..6, 0u8..2, 0u64..4), 0..60)) {
        block_on(carry_over(steps))?;
    }

    #[test]
    fn sagas_answer_as_the_model(steps in proptest::collection::vec((0u8..13, 0u8..4, 0u8..30), 0..60)) {
        block_on(saga(steps))?;
    }
}
