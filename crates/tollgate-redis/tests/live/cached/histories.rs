//! Random histories: with the cache and without it the same store gives the same answers and holds the same records, and whatever is
//! kept is the record's own final answer.

use super::*;
use crate::server::url;
use proptest::prelude::*;
use std::cell::RefCell;
use tollgate_core::store::idempotency::{Doubt, Evidence, Phase, Resolution, Resolve, Tenant};
use tollgate_core::{ManualClock, Timestamp};

#[derive(Clone, Debug)]
enum Step {
    Begin {
        key: u8,
        fingerprint: u8,
        owner: u8,
        lease: u8,
        arm: bool,
    },
    Arm(prop::sample::Index),
    Renew(prop::sample::Index),
    Settle(prop::sample::Index, u8),
    Resolve(prop::sample::Index, bool),
    Sweep,
    Wait(u8),
    /// The server forgets what is kept, or something of it is damaged.
    Forget(u8),
    Damage(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let token = any::<prop::sample::Index>;
    prop_oneof![
        8 => (0u8..3, 0u8..8, 0u8..4, 0u8..20, any::<bool>()).prop_map(|(key, fingerprint, owner, lease, arm)| Step::Begin {
            key, fingerprint: fingerprint / 7, owner, lease, arm,
        }),
        3 => token().prop_map(Step::Arm),
        1 => token().prop_map(Step::Renew),
        6 => (token(), 0u8..6).prop_map(|(token, how)| Step::Settle(token, how)),
        2 => (token(), any::<bool>()).prop_map(|(token, absent)| Step::Resolve(token, absent)),
        1 => Just(Step::Sweep),
        2 => (0u8..30).prop_map(Step::Wait),
        1 => (0u8..3).prop_map(Step::Forget),
        1 => (0u8..3).prop_map(Step::Damage),
    ]
}

fn settlement(how: u8) -> Settlement {
    match how {
        0 => Settlement::Completed(answer(b"one")),
        1 => Settlement::Completed(answer(b"two")),
        2 => Settlement::Completed(Completion {
            executed: false,
            envelope: None,
        }),
        3 => Settlement::Released,
        4 => Settlement::Unknown(Doubt::AnswerInDoubt),
        _ => Settlement::Unknown(Doubt::OwnerLost),
    }
}

/// The same store with the cache and without it, under one clock.
struct Pair {
    cached: CompletedCache<MemoryIdempotency>,
    bare: MemoryIdempotency,
    clock: ManualClock,
    prefix: String,
    hand: RefCell<redis::Connection>,
}

macro_rules! both {
    ($pair:expr, $method:ident($($argument:expr),*)) => {{
        let found = $pair.cached.$method($($argument),*).await.unwrap();
        let expected = $pair.bare.$method($($argument),*).await.unwrap();
        prop_assert_eq!(&found, &expected);
        found
    }};
}

impl Pair {
    async fn new() -> Self {
        let clock = ManualClock::at(Timestamp::from_unix_seconds(1_700_000_000));
        let prefix = prefix();
        // no record reaches the end of its retention here: the two clocks differ on purpose, by years
        let settings = settings().prefix(&prefix);
        Self {
            cached: before(MemoryIdempotency::with(1_000, clock.clone()), &url(), settings).await,
            bare: MemoryIdempotency::with(1_000, clock.clone()),
            clock,
            prefix,
            hand: RefCell::new(redis::Client::open(url()).unwrap().get_connection().unwrap()),
        }
    }

    fn tell(&self, command: &mut redis::Cmd) {
        command.exec(&mut *self.hand.borrow_mut()).unwrap();
    }

    fn holds(&self, key: u8) -> bool {
        let name = name(&self.prefix, RecordKey::new([key; 32]));
        redis::cmd("EXISTS")
            .arg(name)
            .query(&mut *self.hand.borrow_mut())
            .unwrap()
    }

    async fn walk(&self, step: &Step, tokens: &mut Vec<Token>) -> Result<(), TestCaseError> {
        match step {
            Step::Begin {
                key,
                fingerprint,
                owner,
                lease,
                arm,
            } => {
                let begin = Begin {
                    key: RecordKey::new([*key; 32]),
                    fingerprint: Fingerprint::new([*fingerprint; 32]),
                    owner: Owner(u128::from(*owner)),
                    lease: Duration::from_secs(u64::from(*lease)),
                    retention: HOUR * 10,
                    arm: *arm,
                    tenant: Tenant(u64::from((key + owner) % 2)),
                    most_open: [u32::MAX, 1, 2, u32::MAX][usize::from(*owner)],
                };
                if let Begun::Acquired(token) = both!(self, begin(begin)) {
                    tokens.push(token);
                }
            }
            Step::Arm(token) => drop(both!(self, arm(*token.get(tokens), Duration::from_secs(5)))),
            Step::Renew(token) => drop(both!(self, renew(*token.get(tokens), Duration::from_secs(5)))),
            Step::Settle(token, how) => {
                both!(self, settle(*token.get(tokens), &settlement(*how)));
            }
            Step::Resolve(token, absent) => {
                let token = token.get(tokens);
                let resolve = Resolve {
                    key: token.key,
                    epoch: token.epoch,
                    as_of: both!(self, now()),
                    resolution: if *absent {
                        Resolution::Released
                    } else {
                        Resolution::Completed(answer(b"found"))
                    },
                    evidence: Evidence {
                        actor: "ops".into(),
                        reason: "looked".into(),
                    },
                };
                both!(self, resolve(resolve.clone()));
            }
            Step::Sweep => drop(both!(self, sweep(100))),
            Step::Wait(time) => self.clock.advance(Duration::from_secs(u64::from(*time))),
            Step::Forget(key) => {
                self.tell(redis::cmd("DEL").arg(name(&self.prefix, RecordKey::new([*key; 32]))));
            }
            Step::Damage(key) => {
                let name = name(&self.prefix, RecordKey::new([*key; 32]));
                self.tell(redis::cmd("SETRANGE").arg(name).arg(33).arg("x"));
            }
        }
        Ok(())
    }
}

async fn history(steps: Vec<Step>) -> Result<u64, TestCaseError> {
    let pair = Pair::new().await;
    let mut tokens = vec![Token {
        key: RecordKey::new([0; 32]),
        epoch: 1,
        owner: Owner(0),
    }];
    let mut damaged = [false; 3];
    for step in &steps {
        pair.walk(step, &mut tokens).await?;
        match step {
            Step::Damage(key) => damaged[usize::from(*key)] = true,
            Step::Forget(key) => damaged[usize::from(*key)] = false,
            _ => {}
        }
        for key in 0..3u8 {
            let record = both!(pair, get(RecordKey::new([key; 32])));
            let is_final = record.is_some_and(|record| record.phase == Phase::Completed);
            prop_assert!(
                is_final || damaged[usize::from(key)] || !pair.holds(key),
                "something is kept of key {} that is not final",
                key
            );
        }
    }
    Ok(pair.cached.stats().hits)
}

#[test]
fn nobody_can_tell() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let hits = RefCell::new(0);
    let config = ProptestConfig {
        cases: ProptestConfig::default().cases / 8,
        ..ProptestConfig::default()
    };
    proptest!(config, |(steps in proptest::collection::vec(step(), 0..60))| {
        *hits.borrow_mut() += runtime.block_on(history(steps))?;
    });
    assert!(
        hits.into_inner() > 0,
        "the cache answered nothing: this proves nothing"
    );
}
