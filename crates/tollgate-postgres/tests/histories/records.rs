//! Idempotency records.

use crate::{Pair, both, seconds};
use proptest::prelude::*;
use tollgate_core::Clock;
use tollgate_core::store::idempotency::{
    Begin, Begun, Completion, Doubt, Envelope, Evidence, Fingerprint, IdempotencyStore, Owner, RecordKey,
    Resolution, Resolve, Settlement, Tenant, Token,
};
use tollgate_core::store::memory::MemoryIdempotency;

#[derive(Clone, Debug)]
pub(crate) enum Step {
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
    Reconnect,
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
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
        1 => Just(Step::Reconnect),
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

pub(crate) async fn idempotency(steps: Vec<Step>) -> Result<(), TestCaseError> {
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
            Step::Reconnect => pair.reconnect().await,
        }
        for key in 0..3 {
            both!(pair, IdempotencyStore::get(RecordKey::new([key; 32])));
        }
    }
    Ok(())
}
