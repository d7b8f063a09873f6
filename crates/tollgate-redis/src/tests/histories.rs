//! Random histories: whatever is asked of it, in whatever order, at whatever times, the server's scripts answer as the in-memory
//! store does, to the microsecond, hold the same records, and keep indexes that agree with them.

use super::pair::{Pair, block_on, both, seconds};
use proptest::prelude::*;
use std::time::Duration;
use tollgate_core::store::dedup::{Claim, Claimed, DedupStore, EventDigest, EventKey, Ticket};
use tollgate_core::store::idempotency::{
    Begin, Begun, Completion, Doubt, Envelope, Evidence, Fingerprint, IdempotencyStore, Owner, Phase,
    RecordKey, Resolution, Resolve, Settlement, Tenant, Token,
};
use tollgate_core::store::memory::{MemoryDedup, MemoryIdempotency, MemoryQuota, MemoryVelocity};
use tollgate_core::store::quota::{Quota, QuotaKey, QuotaStore, Take};
use tollgate_core::store::velocity::{Admit, VelocityKey, VelocityStore};

const LEASE: Duration = Duration::from_secs(10);
const RETENTION: Duration = Duration::from_secs(40);

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
    FlushScripts,
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
        1 => Just(Step::FlushScripts),
    ]
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
    let mut pair = Pair::new(|clock| MemoryIdempotency::with(10_000, clock)).await;
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
                    retention: RETENTION,
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
                    as_of: both!(pair, IdempotencyStore::now()).saturating_sub(seconds(ago)),
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
            Step::Wait(time) => pair.advance(seconds(time)).await,
            Step::FlushScripts => pair.flush_scripts().await,
        }
        for key in 0..3 {
            both!(pair, IdempotencyStore::get(RecordKey::new([key; 32])));
        }
        check_indexes(&mut pair).await?;
    }
    Ok(())
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
            8 => pair.flush_scripts().await,
            9 => pair.advance(Duration::from_secs(24 * 60 * 60)).await,
            _ => pair.advance(seconds(number)).await,
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
                        window: LEASE * u32::from(1 + number % 3),
                        weight,
                        limit
                    })
                );
            }
            7 => {
                quotas.flush_scripts().await;
            }
            _ => {
                let time = Duration::from_millis(u64::from(number) * 311);
                quotas.advance(time).await;
                counters.advance(time).await;
            }
        }
    }
    Ok(())
}

/// What the indexes must hold, by the records themselves.
async fn check_indexes(pair: &mut Pair<MemoryIdempotency>) -> Result<(), TestCaseError> {
    let (mut open, mut doubtful, mut armed, mut due) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for key in 0..3 {
        let Some(record) = pair.model.get(RecordKey::new([key; 32])).await.unwrap() else {
            continue;
        };
        let name = vec![key; 32];
        match record.phase {
            Phase::Armed => {
                open.push(name.clone());
                armed.push((name, record.lease_until.unix_micros()));
            }
            Phase::Unknown => {
                let tenant = format!("{:016x}:", record.tenant.0).into_bytes();
                doubtful.push([&tenant[..], &name].concat());
                open.push(name);
            }
            Phase::Prepared => due.push((name, record.lease_until.saturating_add(RETENTION).unix_micros())),
            _ => due.push((name, record.expires_at.unwrap().unix_micros())),
        }
    }
    doubtful.sort_unstable();
    prop_assert_eq!(pair.index("open").await, open);
    prop_assert_eq!(pair.index("doubtful").await, doubtful);
    for (name, expected) in [("armed", armed), ("due", due)] {
        let mut found = pair.scores(name).await;
        found.sort_unstable();
        prop_assert_eq!(found, expected, "{}", name);
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
}
