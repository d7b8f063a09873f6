//! What clients ask of one record, and what stands in the answers.

use crate::samples::{self, completion as answer};
use std::time::Duration;
use tollgate_core::Timestamp;
use tollgate_core::store::StoreError;
use tollgate_core::store::idempotency::{
    Begin, Begun, Completion, Doubt, Evidence, Fingerprint, IdempotencyStore, Owner, Record, RecordKey,
    Resolution, Resolve, Resolved, Settlement, Token, Unresolved,
};

/// Longer than any history takes.
const HOUR: Duration = Duration::from_secs(3600);

/// The one record.
pub(super) const KEY: RecordKey = RecordKey::new([7; 32]);

/// One thing to ask of one record. What it is, nobody but this module has to know: clients [`ask`](Self::ask) it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Op(pub(super) What);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
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
pub(super) struct Claim {
    epoch: u64,
    owner: u8,
    lapses: bool,
}

/// What a client does: so many operations, each on one of so many records, the same ones in every process that is told the same seed
/// and the same number of the client. Each record needs a store of its own, or a sweep of one would be a sweep of all.
#[must_use]
pub fn plan(seed: u64, client: usize, records: usize, length: usize) -> Vec<(usize, Op)> {
    let mut dice = Dice(seed << 8 | wide(client));
    (0..length)
        .map(|_| {
            let record = dice.roll(wide(records).max(1));
            (usize::try_from(record).unwrap_or(0), dice.op())
        })
        .collect()
}

fn wide(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// SplitMix64: small, and the same in every process.
#[derive(Clone, Debug)]
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) const fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    fn byte(&mut self, sides: u8) -> u8 {
        u8::try_from(self.roll(sides.into())).unwrap_or(0)
    }

    fn claim(&mut self) -> Claim {
        Claim {
            epoch: 1 + self.roll(4),
            owner: self.byte(3),
            lapses: self.roll(2) == 0,
        }
    }

    pub(super) fn op(&mut self) -> Op {
        Op(match self.roll(20) {
            0..=5 => What::Begin {
                fingerprint: self.byte(8) / 7,
                owner: self.byte(3),
                lapses: self.roll(2) == 0,
                arm: self.roll(2) == 0,
            },
            6..=8 => What::Arm(self.claim()),
            9 => What::Renew(self.claim()),
            // final answers end a history: they are rare
            10..=13 => {
                let claim = self.claim();
                let how = [2, 2, 2, 2, 3, 3, 3, 0, 1];
                What::Settle(claim, how[usize::from(self.byte(9))])
            }
            14 | 15 => What::Resolve {
                epoch: 1 + self.roll(4),
                absent: self.roll(8) > 0,
                old_look: self.roll(6) == 0,
            },
            16 | 17 => What::Get,
            18 => What::Unresolved,
            _ => What::Sweep,
        })
    }
}

const fn lease(lapses: bool) -> Duration {
    if lapses { Duration::ZERO } else { HOUR }
}

impl Claim {
    pub(super) const fn lease(self) -> Duration {
        lease(self.lapses)
    }

    pub(super) const fn token(self) -> Token {
        Token {
            key: KEY,
            epoch: self.epoch,
            owner: Owner(self.owner as u128),
        }
    }
}

pub(super) fn settlement(how: u8) -> Settlement {
    match how {
        0 => Settlement::Completed(answer(b"one")),
        1 => Settlement::Completed(answer(b"two")),
        2 => Settlement::Released,
        _ => Settlement::Unknown(Doubt::AnswerInDoubt),
    }
}

pub(super) fn begin(fingerprint: u8, owner: u8, lapses: bool, arm: bool) -> Begin {
    Begin {
        fingerprint: Fingerprint::new([fingerprint; 32]),
        lease: lease(lapses),
        retention: HOUR,
        arm,
        ..samples::begin(KEY, u128::from(owner))
    }
}

pub(super) fn resolve(epoch: u64, absent: bool, old_look: bool) -> Resolve {
    let (resolution, reason) = if absent {
        (Resolution::Released, "absent")
    } else {
        (Resolution::Completed(answer(b"found")), "found")
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

impl Op {
    /// Asks the store. The answer is without instants: those are the store's own.
    ///
    /// # Errors
    /// What the store says.
    pub async fn ask(self, store: &impl IdempotencyStore) -> Result<String, StoreError> {
        Ok(match self.0 {
            What::Begin {
                fingerprint,
                owner,
                lapses,
                arm,
            } => show_begun(&store.begin(begin(fingerprint, owner, lapses, arm)).await?),
            What::Arm(claim) => format!("{:?}", store.arm(claim.token(), claim.lease()).await?),
            What::Renew(claim) => format!("{:?}", store.renew(claim.token(), claim.lease()).await?),
            What::Settle(claim, how) => format!("{:?}", store.settle(claim.token(), &settlement(how)).await?),
            What::Resolve {
                epoch,
                absent,
                old_look,
            } => show_resolved(store.resolve(resolve(epoch, absent, old_look)).await?),
            What::Get => show(store.get(KEY).await?.as_ref()),
            What::Unresolved => show_open(store.unresolved(None, 9).await?.first()),
            What::Sweep => store.sweep(9).await?.to_string(),
        })
    }
}

pub(super) fn show_begun(begun: &Begun) -> String {
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

pub(super) fn show_resolved(resolved: Resolved) -> String {
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

pub(super) fn show_open(open: Option<&Unresolved>) -> String {
    open.map_or("none".into(), |open| {
        format!("{} {:?} {:?}", open.epoch, open.phase, open.doubt)
    })
}

pub(super) fn show(record: Option<&Record>) -> String {
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
