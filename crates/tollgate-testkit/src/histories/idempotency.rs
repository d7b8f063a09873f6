//! Idempotency records.

use super::Trial;
use super::pair::{Pair, seconds};
use proptest::prelude::*;
use proptest::sample::Index;
use std::time::Duration;
use tollgate_core::store::idempotency::{
    Begin, Begun, Completion, Doubt, Envelope, Evidence, Fingerprint, IdempotencyStore, Owner, RecordKey,
    Resolution, Resolve, Settlement, Tenant, Token,
};
use tollgate_core::store::memory::MemoryIdempotency;

const KEYS: u8 = 3;

/// The keys that the histories of [`Histories::idempotency`](super::Histories::idempotency) are about: for a
/// [`Trial`](super::Trial::inspect) that looks behind them.
pub fn record_keys() -> impl Iterator<Item = RecordKey> {
    (0..KEYS).map(|key| RecordKey::new([key; 32]))
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    Begin {
        key: u8,
        fingerprint: u8,
        owner: u8,
        lease: u8,
        arm: bool,
    },
    /// With one of the tokens that were handed out so far, or were forged; so long.
    Arm(Index, u8),
    Renew(Index, u8),
    Settle(Index, u8),
    Resolve {
        token: Index,
        absent: bool,
        /// How long ago the look began, in seconds.
        looked: u8,
    },
    /// The token of an epoch that has not come yet.
    Forge(Index),
    Sweep,
    Collect {
        tombstone: u8,
    },
    Unresolved {
        after: u8,
        limit: u32,
    },
    Wait(u8),
    /// The clock is set back, by so many seconds.
    SetBack(u8),
    Disturb(u8),
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let token = any::<Index>;
    prop_oneof![
        // one request in eight is another one
        6 => (0..KEYS, 0u8..8, 0u8..4, 0u8..20, any::<bool>()).prop_map(|(key, fingerprint, owner, lease, arm)| Step::Begin {
            key, fingerprint: fingerprint / 7, owner, lease, arm,
        }),
        4 => (token(), 0u8..20).prop_map(|(token, lease)| Step::Arm(token, lease)),
        2 => (token(), 0u8..20).prop_map(|(token, lease)| Step::Renew(token, lease)),
        4 => (token(), 0u8..7).prop_map(|(token, how)| Step::Settle(token, how)),
        2 => (token(), any::<bool>(), 0u8..30).prop_map(|(token, absent, looked)| Step::Resolve { token, absent, looked }),
        1 => token().prop_map(Step::Forge),
        1 => Just(Step::Sweep),
        // not zero: a store that works in batches would meet its own tombstones again in the same pass, and count them, too
        1 => (1u8..60).prop_map(|tombstone| Step::Collect { tombstone }),
        1 => (0..KEYS, 0u32..4).prop_map(|(after, limit)| Step::Unresolved { after, limit }),
        4 => (0u8..30).prop_map(Step::Wait),
        1 => (0u8..90).prop_map(Step::SetBack),
        1 => any::<u8>().prop_map(Step::Disturb),
    ]
}

pub(super) async fn walk<T>(
    pair: &mut Pair<T, MemoryIdempotency>,
    retention: Duration,
    steps: Vec<Step>,
) -> Result<(), TestCaseError>
where
    T: Trial<Store: IdempotencyStore>,
{
    // the first was never handed out
    let mut tokens = vec![Token {
        key: RecordKey::new([0; 32]),
        epoch: 1,
        owner: Owner(0),
    }];
    for step in steps {
        take(pair, retention, &mut tokens, step).await?;
        for key in record_keys() {
            both!(pair, get(key));
        }
        pair.trial.inspect().await;
    }
    Ok(())
}

async fn take<T>(
    pair: &mut Pair<T, MemoryIdempotency>,
    retention: Duration,
    tokens: &mut Vec<Token>,
    step: Step,
) -> Result<(), TestCaseError>
where
    T: Trial<Store: IdempotencyStore>,
{
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
                retention,
                arm,
                tenant: Tenant(u64::MAX * u64::from((key + owner) % 2)),
                most_open: [u32::MAX, 1, 2, u32::MAX][usize::from(owner)],
            };
            if let Begun::Acquired(token) = both!(pair, begin(begin)) {
                tokens.push(token);
            }
        }
        Step::Arm(token, lease) => {
            both!(pair, arm(*token.get(tokens), seconds(lease)));
        }
        Step::Renew(token, lease) => {
            both!(pair, renew(*token.get(tokens), seconds(lease)));
        }
        Step::Settle(token, how) => {
            both!(pair, settle(*token.get(tokens), &settlement(how)));
        }
        Step::Resolve {
            token,
            absent,
            looked,
        } => {
            let token = token.get(tokens);
            let resolve = Resolve {
                key: token.key,
                epoch: token.epoch,
                as_of: both!(pair, now()).saturating_sub(seconds(looked)),
                resolution: if absent {
                    Resolution::Released
                } else {
                    Resolution::Completed(completion(3))
                },
                evidence: Evidence {
                    actor: "ops".into(),
                    reason: "looked".into(),
                },
            };
            both!(pair, resolve(resolve.clone()));
        }
        Step::Forge(token) => {
            let token = *token.get(tokens);
            tokens.push(Token {
                epoch: token.epoch + 1,
                ..token
            });
        }
        Step::Sweep => {
            both!(pair, sweep(100));
        }
        Step::Collect { tombstone } => {
            both!(pair, collect(seconds(tombstone), 100));
        }
        Step::Unresolved { after, limit } => {
            both!(pair, unresolved(Some(RecordKey::new([after; 32])), limit));
            both!(pair, unresolved(None::<RecordKey>, limit));
        }
        Step::Wait(time) => pair.advance(seconds(time)).await,
        Step::SetBack(time) => pair.set_back(seconds(time)).await,
        Step::Disturb(how) => pair.trial.disturb(how).await,
    }
    Ok(())
}

fn settlement(how: u8) -> Settlement {
    match how {
        0..=3 => Settlement::Completed(completion(how)),
        4 => Settlement::Released,
        5 => Settlement::Unknown(Doubt::AnswerInDoubt),
        _ => Settlement::Unknown(Doubt::OwnerLost),
    }
}

/// With a head and without one, with an empty one, and with no answer at all.
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
