//! What clients do, what they are told, and what core's pure rule would have told them.

use std::time::Duration;
use tollgate_core::Timestamp;
use tollgate_core::store::StoreError;
use tollgate_core::store::idempotency::rule::{self, Change};
use tollgate_core::store::idempotency::{
    Begin, Begun, Completion, Doubt, Envelope, Evidence, Fingerprint, IdempotencyStore, Owner, Record,
    RecordKey, Resolution, Resolve, Resolved, Settlement, Tenant, Token, Unresolved,
};
use tollgate_redis::Redis;

/// Longer than any history takes.
const HOUR: Duration = Duration::from_secs(3600);

pub(crate) const KEY: RecordKey = RecordKey::new([7; 32]);

/// One thing to ask of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Begin {
        fingerprint: u8,
        owner: u8,
        lapses: bool,
        arm: bool,
    },
    Arm(Claim),
    Renew(Claim),
    Settle(Claim, u8),
    Resolve {
        epoch: u64,
        absent: bool,
        /// By a look of long ago, which proves nothing.
        old_look: bool,
    },
    Get,
    Unresolved,
    Sweep,
}

/// A token that somebody may have been given; and how long the lease is from then on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    epoch: u64,
    owner: u8,
    lapses: bool,
}

/// SplitMix64: small, and the same in every process.
#[derive(Clone, Debug)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    fn byte(&mut self, sides: u64) -> u8 {
        u8::try_from(self.roll(sides)).unwrap()
    }

    fn claim(&mut self) -> Claim {
        Claim {
            epoch: 1 + self.roll(4),
            owner: self.byte(3),
            lapses: self.roll(2) == 0,
        }
    }

    pub(crate) fn op(&mut self) -> Op {
        match self.roll(20) {
            0..=5 => Op::Begin {
                fingerprint: self.byte(8) / 7,
                owner: self.byte(3),
                lapses: self.roll(2) == 0,
                arm: self.roll(2) == 0,
            },
            6..=8 => Op::Arm(self.claim()),
            9 => Op::Renew(self.claim()),
            // final answers end a history: they are rare
            10..=13 => {
                let claim = self.claim();
                let how = [2, 2, 2, 2, 3, 3, 3, 0, 1];
                Op::Settle(claim, how[usize::try_from(self.roll(9)).unwrap()])
            }
            14 | 15 => Op::Resolve {
                epoch: 1 + self.roll(4),
                absent: self.roll(8) > 0,
                old_look: self.roll(6) == 0,
            },
            16 | 17 => Op::Get,
            18 => Op::Unresolved,
            _ => Op::Sweep,
        }
    }
}

const fn lease(lapses: bool) -> Duration {
    if lapses { Duration::ZERO } else { HOUR }
}

impl Claim {
    const fn token(self) -> Token {
        Token {
            key: KEY,
            epoch: self.epoch,
            owner: Owner(self.owner as u128),
        }
    }
}

fn completion(body: &[u8]) -> Completion {
    Completion {
        executed: true,
        envelope: Some(Envelope {
            ok: true,
            status: 201,
            head: None,
            body: body.into(),
        }),
    }
}

fn settlement(how: u8) -> Settlement {
    match how {
        0 => Settlement::Completed(completion(b"one")),
        1 => Settlement::Completed(completion(b"two")),
        2 => Settlement::Released,
        _ => Settlement::Unknown(Doubt::AnswerInDoubt),
    }
}

fn begin(fingerprint: u8, owner: u8, lapses: bool, arm: bool) -> Begin {
    Begin {
        key: KEY,
        fingerprint: Fingerprint::new([fingerprint; 32]),
        owner: Owner(u128::from(owner)),
        lease: lease(lapses),
        retention: HOUR,
        arm,
        tenant: Tenant::NONE,
        most_open: u32::MAX,
    }
}

fn resolve(epoch: u64, absent: bool, old_look: bool) -> Resolve {
    let (resolution, reason) = if absent {
        (Resolution::Released, "absent")
    } else {
        (Resolution::Completed(completion(b"found")), "found")
    };
    Resolve {
        key: KEY,
        epoch,
        as_of: if old_look {
            Timestamp::EPOCH
        } else {
            Timestamp::MAX
        },
        resolution,
        evidence: Evidence {
            actor: "ops".into(),
            reason: reason.into(),
        },
    }
}

/// Asks the server. The answer is without instants: those are the server's own.
pub(crate) async fn ask(store: &Redis, op: Op) -> Result<String, StoreError> {
    Ok(match op {
        Op::Begin {
            fingerprint,
            owner,
            lapses,
            arm,
        } => show_begun(&store.begin(begin(fingerprint, owner, lapses, arm)).await?),
        Op::Arm(claim) => format!("{:?}", store.arm(claim.token(), lease(claim.lapses)).await?),
        Op::Renew(claim) => format!("{:?}", store.renew(claim.token(), lease(claim.lapses)).await?),
        Op::Settle(claim, how) => format!("{:?}", store.settle(claim.token(), &settlement(how)).await?),
        Op::Resolve {
            epoch,
            absent,
            old_look,
        } => show_resolved(store.resolve(resolve(epoch, absent, old_look)).await?),
        Op::Get => show(store.get(KEY).await?.as_ref()),
        Op::Unresolved => show_open(store.unresolved(None, 9).await?.first()),
        Op::Sweep => store.sweep(9).await?.to_string(),
    })
}

/// Asks the rule.
pub(crate) fn expect(record: Option<&Record>, op: Op, now: Timestamp) -> (Option<Record>, String) {
    let (change, answer) = match op {
        Op::Begin {
            fingerprint,
            owner,
            lapses,
            arm,
        } => {
            let (change, begun) = rule::begin(record, &begin(fingerprint, owner, lapses, arm), now);
            (change, show_begun(&begun))
        }
        Op::Arm(claim) => {
            let (change, held) = rule::arm(record, &claim.token(), lease(claim.lapses), now);
            (change, format!("{held:?}"))
        }
        Op::Renew(claim) => {
            let (change, held) = rule::renew(record, &claim.token(), lease(claim.lapses), now);
            (change, format!("{held:?}"))
        }
        Op::Settle(claim, how) => {
            let (change, settled) = rule::settle(record, &claim.token(), &settlement(how), now);
            (change, format!("{settled:?}"))
        }
        Op::Resolve {
            epoch,
            absent,
            old_look,
        } => {
            let (change, resolved) = rule::resolve(record, &resolve(epoch, absent, old_look), now);
            (change, show_resolved(resolved))
        }
        Op::Get => (Change::Keep, show(record)),
        Op::Unresolved => {
            let open = record.filter(|record| rule::is_unresolved(record, now));
            (
                Change::Keep,
                show_open(open.map(|record| Unresolved::of(KEY, record)).as_ref()),
            )
        }
        Op::Sweep => {
            let change = record.map_or(Change::Keep, |record| rule::sweep(record, now));
            let swept = u8::from(change != Change::Keep);
            (change, swept.to_string())
        }
    };
    let record = match change {
        Change::Keep => record.cloned(),
        Change::Put(record) => Some(record),
        Change::Remove => None,
    };
    (record, answer)
}

fn show_begun(begun: &Begun) -> String {
    match begun {
        Begun::Acquired(token) => format!("acquired {} {}", token.epoch, token.owner.0),
        Begun::Replay(completion) => format!("replay {}", show_completion(completion)),
        Begun::InFlight { .. } => "in flight".into(),
        Begun::Mismatch => "mismatch".into(),
        Begun::Unknown { .. } => "unknown".into(),
        Begun::Expired => "expired".into(),
        Begun::TooManyOpen => "too many open".into(),
    }
}

fn show_resolved(resolved: Resolved) -> String {
    match resolved {
        Resolved::TooEarly { .. } => "too early".into(),
        other => format!("{other:?}"),
    }
}

fn show_completion(completion: &Completion) -> String {
    let body = completion
        .envelope
        .as_ref()
        .map(|envelope| String::from_utf8_lossy(&envelope.body));
    body.unwrap_or_default().into_owned()
}

fn show_open(open: Option<&Unresolved>) -> String {
    open.map_or("none".into(), |open| {
        format!("{} {:?} {:?}", open.epoch, open.phase, open.doubt)
    })
}

fn show(record: Option<&Record>) -> String {
    let Some(record) = record else {
        return "none".into();
    };
    format!(
        "{:?} {} {} {} {:?} {} {}",
        record.phase,
        record.epoch,
        record.owner.0,
        record.fingerprint.as_bytes()[0],
        record.doubt,
        record
            .completion
            .as_ref()
            .map(show_completion)
            .unwrap_or_default(),
        record
            .evidence
            .as_ref()
            .map(|evidence| &*evidence.reason)
            .unwrap_or_default(),
    )
}

/// All that later answers depend on: two records that are equal in this have one future.
pub(crate) fn essence(record: Option<&Record>, now: Timestamp) -> String {
    let lapsed = record.is_some_and(|record| record.lease_until <= now);
    format!("{} {lapsed}", show(record))
}
