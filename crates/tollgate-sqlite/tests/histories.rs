//! Random histories: whatever is asked of it, in whatever order, at whatever times, and across reopening, the file answers as the
//! in-memory store does, and holds the same records.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use std::path::PathBuf;
use std::time::Duration;
use tollgate_core::store::dedup::{Claim, Claimed, DedupStore, EventDigest, EventKey, Ticket};
use tollgate_core::store::idempotency::{
    Begin, Begun, Completion, Doubt, Envelope, Evidence, Fingerprint, IdempotencyStore, Owner, RecordKey,
    Resolution, Resolve, Settlement, Tenant, Token,
};
use tollgate_core::store::memory::{MemoryDedup, MemoryIdempotency, MemoryQuota, MemorySaga, MemoryVelocity};
use tollgate_core::store::quota::{Quota, QuotaKey, QuotaStore, Take};
use tollgate_core::store::saga::{Append, NewSaga, SagaId, SagaJournal, SagaState};
use tollgate_core::store::velocity::{Admit, VelocityKey, VelocityStore};
use tollgate_core::{Clock, ManualClock, Timestamp};
use tollgate_sqlite::Sqlite;

const LEASE: Duration = Duration::from_secs(10);

/// The file, the model, and their one clock.
struct Pair<M> {
    file: Option<Sqlite>,
    model: M,
    clock: ManualClock,
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl<M> Pair<M> {
    fn new(model: impl FnOnce(ManualClock) -> M) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.sqlite");
        let clock = ManualClock::at(Timestamp::from_unix_seconds(1_700_000_000));
        Self {
            file: Some(Sqlite::open_with(&path, clock.clone()).unwrap()),
            model: model(clock.clone()),
            clock,
            path,
            _folder: folder,
        }
    }

    fn file(&self) -> &Sqlite {
        self.file.as_ref().unwrap()
    }

    fn reopen(&mut self) {
        drop(self.file.take());
        self.file = Some(Sqlite::open_with(&self.path, self.clock.clone()).unwrap());
    }
}

/// Asks both and compares their answers.
macro_rules! both {
    ($pair:expr, $port:ident::$method:ident($($argument:expr),*)) => {{
        let found = $port::$method($pair.file(), $($argument),*).await.unwrap();
        let expected = $port::$method(&$pair.model, $($argument),*).await.unwrap();
        prop_assert_eq!(&found, &expected);
        found
    }};
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

#[derive(Clone, Debug)]
enum Step {
    Begin {
        key: u8,
        fingerprint: u8,
        owner: u8,
        lease: u8,
        arm: bool,
    },
    Arm(prop::sample::Index, u8),
    Renew(prop::sample::Index, u8),
    Settle(prop::sample::Index, u8),
    /// By a look that began so many seconds ago.
    Resolve(prop::sample::Index, bool, u8),
    Forge(prop::sample::Index),
    Sweep,
    Collect(u8),
    Unresolved(u8, u32),
    Wait(u8),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let token = any::<prop::sample::Index>;
    prop_oneof![
        6 => (0u8..3, 0u8..8, 0u8..4, 0u8..20, any::<bool>()).prop_map(|(key, fingerprint, owner, lease, arm)| Step::Begin {
            key, fingerprint: fingerprint / 7, owner, lease, arm,
        }),
        4 => (token(), 0u8..20).prop_map(|(token, lease)| Step::Arm(token, lease)),
        2 => (token(), 0u8..20).prop_map(|(token, lease)| Step::Renew(token, lease)),
        4 => (token(), 0u8..7).prop_map(|(token, how)| Step::Settle(token, how)),
        2 => (token(), any::<bool>(), 0u8..30).prop_map(|(token, absent, ago)| Step::Resolve(token, absent, ago)),
        1 => token().prop_map(Step::Forge),
        1 => Just(Step::Sweep),
        1 => (0u8..60).prop_map(Step::Collect),
        1 => (0u8..3, 0u32..4).prop_map(|(after, limit)| Step::Unresolved(after, limit)),
        4 => (0u8..30).prop_map(Step::Wait),
        1 => Just(Step::Reopen),
    ]
}

fn seconds(number: u8) -> Duration {
    Duration::from_secs(number.into())
}

fn completion(how: u8) -> Completion {
    let envelope = |status, head: Option<&[u8]>, body: &[u8]| Envelope {
        ok: status < 400,
        status,
        head: head.map(Into::into),
        body: body.into(),
    };
    match how {
        0 => Completion {
            executed: true,
            envelope: Some(envelope(201, Some(b"location: /1"), b"{}")),
        },
        1 => Completion {
            executed: false,
            envelope: Some(envelope(402, None, &[0, 255])),
        },
        2 => Completion {
            executed: true,
            envelope: Some(envelope(0, Some(b""), b"")),
        },
        _ => Completion {
            executed: false,
            envelope: None,
        },
    }
}

async fn idempotency(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut pair = Pair::new(|clock| MemoryIdempotency::with(10_000, clock));
    let mut tokens = vec![Token {
        key: RecordKey::new([0; 32]),
        epoch: 1,
        owner: Owner(0),
    }];
    for step in steps {
        match step {
            Step::Begin {
                key,
                fingerprint,
                owner,
                lease,
                arm,
            } => {
                let begin = Begin {
                    key: RecordKey::new([key; 32]),
                    fingerprint: Fingerprint::new([fingerprint; 32]),
                    owner: Owner(u128::MAX - u128::from(owner)),
                    lease: seconds(lease),
                    retention: seconds(40),
                    arm,
                    tenant: Tenant(u64::MAX * u64::from((key + owner) % 2)),
                    most_open: [u32::MAX, 1, 2, u32::MAX][usize::from(owner)],
                };
                if let Begun::Acquired(token) = both!(pair, IdempotencyStore::begin(begin)) {
                    tokens.push(token);
                }
            }
            Step::Arm(token, lease) => drop(both!(
                pair,
                IdempotencyStore::arm(*token.get(&tokens), seconds(lease))
            )),
            Step::Renew(token, lease) => drop(both!(
                pair,
                IdempotencyStore::renew(*token.get(&tokens), seconds(lease))
            )),
            Step::Settle(token, how) => {
                let settlement = match how {
                    0..=3 => Settlement::Completed(completion(how)),
                    4 => Settlement::Released,
                    5 => Settlement::Unknown(Doubt::AnswerInDoubt),
                    _ => Settlement::Unknown(Doubt::OwnerLost),
                };
                both!(pair, IdempotencyStore::settle(*token.get(&tokens), &settlement));
            }
            Step::Resolve(token, absent, ago) => {
                let token = token.get(&tokens);
                let resolution = if absent {
                    Resolution::Released
                } else {
                    Resolution::Completed(completion(3))
                };
                let evidence = Evidence {
                    actor: "ops".into(),
                    reason: "looked".into(),
                };
                let resolve = Resolve {
                    key: token.key,
                    epoch: token.epoch,
                    as_of: pair.clock.now().saturating_sub(seconds(ago)),
                    resolution,
                    evidence,
                };
                both!(pair, IdempotencyStore::resolve(resolve.clone()));
            }
            Step::Forge(token) => {
                let token = *token.get(&tokens);
                tokens.push(Token {
                    epoch: token.epoch + 1,
                    ..token
                });
            }
            Step::Sweep => drop(both!(pair, IdempotencyStore::sweep(100))),
            Step::Collect(tombstone) => drop(both!(pair, IdempotencyStore::collect(seconds(tombstone), 100))),
            Step::Unresolved(after, limit) => {
                both!(
                    pair,
                    IdempotencyStore::unresolved(Some(RecordKey::new([after; 32])), limit)
                );
                both!(pair, IdempotencyStore::unresolved(None, limit));
            }
            Step::Wait(time) => pair.clock.advance(seconds(time)),
            Step::Reopen => pair.reopen(),
        }
        for key in 0..3 {
            both!(pair, IdempotencyStore::get(RecordKey::new([key; 32])));
        }
    }
    Ok(())
}

async fn dedup(steps: Vec<(u8, u8, u8, prop::sample::Index)>) -> Result<(), TestCaseError> {
    let mut pair = Pair::new(|clock| MemoryDedup::with(10_000, clock));
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
            8 => pair.reopen(),
            9 => pair.clock.advance(Duration::from_secs(24 * 60 * 60)),
            _ => pair.clock.advance(seconds(number)),
        }
    }
    Ok(())
}

async fn quota_and_velocity(steps: Vec<(u8, u8, u8)>) -> Result<(), TestCaseError> {
    let mut quotas = Pair::new(|clock| MemoryQuota::with(10_000, clock));
    let mut counters = Pair::new(|clock| MemoryVelocity::with(10_000, clock));
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
                quotas.reopen();
                counters.reopen();
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

async fn saga(steps: Vec<(u8, u8, u8)>) -> Result<(), TestCaseError> {
    let mut pair = Pair::new(MemorySaga::with);
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
                let mut found = SagaJournal::claim(pair.file(), &names, LEASE, 100).await.unwrap();
                found.sort_unstable_by_key(|journal| journal.id);
                prop_assert_eq!(found, pair.model.claim(&names, LEASE, 100).await.unwrap());
            }
            7 => drop(both!(pair, SagaJournal::claim_one(id, seconds(number)))),
            8 => {
                let epoch = held.map_or(1, |journal| journal.epoch) + u64::from(number % 2);
                both!(pair, SagaJournal::renew(id, epoch, seconds(number)));
            }
            9 => pair.reopen(),
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
    fn idempotency_answers_as_the_model(steps in proptest::collection::vec(step(), 0..60)) {
        block_on(idempotency(steps))?;
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
    fn sagas_answer_as_the_model(steps in proptest::collection::vec((0u8..13, 0u8..4, 0u8..30), 0..60)) {
        block_on(saga(steps))?;
    }
}
