//! What there is: one record, two callers of its key, a network, a gateway, and somebody who looks into doubts.
//!
//! Times are told in ticks from now. What is long past is all alike, so although time runs on for ever there are only so many
//! states.

use std::fmt;
use std::time::Duration;
use tollgate_core::Timestamp;
use tollgate_core::store::idempotency::{
    Completion, Doubt, Envelope, Evidence, Fingerprint, Owner, Phase, Record, RecordKey, Tenant, Token,
};

/// How long an owner may be silent, in ticks: it is lost once more than this has passed.
pub(crate) const LEASE: i8 = 1;
/// How long an answer is kept.
pub(crate) const RETENTION: i8 = 1;
/// How long it is remembered after that, that there was one.
pub(crate) const TOMBSTONE: i8 = 2;

/// The rule is always asked at this moment: a lease of two more ticks ends two seconds later.
pub(crate) const NOW: Timestamp = Timestamp::from_unix_seconds(1_000);
const KEY: RecordKey = RecordKey::new([7; 32]);

/// So many ticks as the rule sees them.
pub(crate) fn ticks(ticks: i8) -> Duration {
    Duration::from_secs(ticks.try_into().unwrap())
}

/// The moment so many ticks from now.
pub(crate) fn moment(ticks: i8) -> Timestamp {
    Timestamp::from_unix_seconds(NOW.unix_seconds() + i64::from(ticks))
}

/// How far away a moment is; what is farther than anything asks for is as far as that.
fn ticks_to(moment: Timestamp) -> i8 {
    let seconds = moment.unix_seconds() - NOW.unix_seconds();
    i8::try_from(seconds.clamp(-FAR, FAR)).unwrap()
}

const FAR: i64 = 100;

/// A final answer: what happened, and whose request it was. The second stands for the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Outcome {
    pub(crate) executed: bool,
    pub(crate) body: u8,
}

impl Outcome {
    pub(crate) fn completion(self) -> Completion {
        Completion {
            executed: self.executed,
            envelope: Some(Envelope {
                body: [self.body].as_slice().into(),
                ..Envelope::default()
            }),
        }
    }

    pub(crate) fn of(completion: &Completion) -> Self {
        Self {
            executed: completion.executed,
            body: completion.envelope.as_ref().unwrap().body[0],
        }
    }
}

/// A record, without what the rule never compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Row {
    pub(crate) phase: Phase,
    pub(crate) epoch: u8,
    pub(crate) owner: u8,
    pub(crate) request: u8,
    pub(crate) lease: i8,
    pub(crate) expires: Option<i8>,
    pub(crate) doubt: Option<Doubt>,
    pub(crate) outcome: Option<Outcome>,
    /// Whether it was somebody's evidence that ended a doubt.
    pub(crate) by_evidence: bool,
}

impl Row {
    pub(crate) fn to_record(self) -> Record {
        Record {
            phase: self.phase,
            epoch: self.epoch.into(),
            owner: Owner(self.owner.into()),
            fingerprint: Fingerprint::new([self.request; 32]),
            tenant: Tenant::NONE,
            lease_until: moment(self.lease),
            expires_at: self.expires.map(moment),
            retention: ticks(RETENTION),
            changed_at: NOW,
            doubt: self.doubt,
            completion: self.outcome.map(Outcome::completion),
            evidence: self.by_evidence.then(evidence),
        }
    }

    pub(crate) fn of(record: &Record) -> Self {
        Self {
            phase: record.phase,
            epoch: record.epoch.try_into().unwrap(),
            owner: record.owner.0.try_into().unwrap(),
            request: record.fingerprint.as_bytes()[0],
            lease: ticks_to(record.lease_until),
            expires: record.expires_at.map(ticks_to),
            doubt: record.doubt,
            outcome: record.completion.as_ref().map(Outcome::of),
            by_evidence: record.evidence.is_some(),
        }
    }

    /// A tick later. A lease that lapsed longer ago than anybody asks for, and an end that has come, stay as they are.
    pub(crate) fn age(&mut self) {
        self.lease = (self.lease - 1).max(-RETENTION - 1);
        self.expires = self.expires.map(|at| (at - 1).max(0));
    }

    pub(crate) fn is_held_by(&self, claim: Claim) -> bool {
        (self.epoch, self.owner) == (claim.epoch, claim.owner)
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Armed | Phase::Unknown)
    }
}

/// Who said it and why matters to nobody but the auditor.
pub(crate) fn evidence() -> Evidence {
    Evidence {
        actor: "resolver".into(),
        reason: "looked".into(),
    }
}

/// What an owner holds: its token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Claim {
    pub(crate) epoch: u8,
    pub(crate) owner: u8,
}

impl Claim {
    pub(crate) fn token(self) -> Token {
        Token {
            key: KEY,
            epoch: self.epoch.into(),
            owner: Owner(self.owner.into()),
        }
    }

    pub(crate) fn of(token: &Token) -> Self {
        Self {
            epoch: token.epoch.try_into().unwrap(),
            owner: token.owner.0.try_into().unwrap(),
        }
    }
}

/// How a call ended, as it is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Ending {
    Completed(Outcome),
    Released,
    Unknown(Doubt),
}

/// Where a caller stands. It takes its next step when it pleases: one that never does has crashed or is frozen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum At {
    /// Nothing of it is under way.
    Rest,
    /// Its begin was not answered. If it was granted, the lease runs already.
    BeginLost { lease: i8 },
    /// It told its caller that the store is away, or that there is a doubt. What its begin may have claimed it still has to give back.
    GivingBack,
    /// It holds the claim; nothing was sent.
    Prepared { claim: Claim, lease: i8 },
    /// It may send. So many attempts are in doubt already.
    Armed { claim: Claim, lease: i8, doubts: u8 },
    /// It sent, and waits for the gateway.
    Sent {
        claim: Claim,
        lease: i8,
        doubts: u8,
        answer: Option<Outcome>,
    },
    /// It knows how it ended and writes that down; `tried` once an acknowledgement was lost.
    Settling { claim: Claim, how: Ending, tried: bool },
}

/// A caller of the key. Each attempt is a new owner, also after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Caller {
    pub(crate) at: At,
    /// How often it will still try.
    pub(crate) tries: u8,
    /// Who it is in this attempt.
    pub(crate) owner: u8,
    /// What it asks for. Under one key that should always be the same.
    pub(crate) request: u8,
}

/// A request on its way to the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Letter {
    pub(crate) owner: u8,
    pub(crate) epoch: u8,
    pub(crate) attempt: u8,
    pub(crate) request: u8,
    /// The downstream key it carries.
    pub(crate) key: u8,
    /// How long it may still arrive.
    pub(crate) lives: i8,
}

/// The other side's books.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Gateway {
    /// How often money moved under this key of ours.
    pub(crate) effects: u8,
    /// What it would tell somebody who looks.
    pub(crate) booked: Option<Outcome>,
    /// Under which downstream key it remembers that, and for how long.
    pub(crate) remembers: Option<(u8, i8)>,
}

/// A write whose sender gave up on it; it may still be carried out, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Stray {
    Begin { owner: u8, request: u8 },
    Arm(Claim),
    Settle(Claim, Ending),
}

/// What somebody found at the gateway, and has not written down yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Look {
    pub(crate) epoch: u8,
    pub(crate) found: Option<Outcome>,
    /// How long ago the record was listed as open.
    pub(crate) age: i8,
}

/// What callers were told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Told {
    pub(crate) first: Option<Outcome>,
    /// Whether another answer was told later.
    pub(crate) another: bool,
}

/// All of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub(crate) row: Option<Row>,
    pub(crate) callers: [Caller; 2],
    pub(crate) wire: [Option<Letter>; 3],
    pub(crate) gateway: Gateway,
    pub(crate) stray: Option<Stray>,
    pub(crate) look: Option<Look>,
    pub(crate) told: Told,
    /// How many things may still go wrong.
    pub(crate) faults: u8,
    /// How long callers still try.
    pub(crate) patience: i8,
    /// What a replica knows that lags one write behind, where there is one.
    pub(crate) replica: Option<Option<Row>>,
}

impl World {
    pub(crate) fn record(&self) -> Option<Record> {
        self.row.map(Row::to_record)
    }

    /// Puts a letter on the wire; the order on the wire means nothing.
    pub(crate) fn send(&mut self, letter: Letter) {
        let free = self.wire.iter_mut().find(|place| place.is_none());
        *free.expect("asked before") = Some(letter);
        self.wire.sort_unstable();
    }

    pub(crate) fn has_room_on_the_wire(&self) -> bool {
        self.wire.contains(&None)
    }

    pub(crate) fn tell(&mut self, outcome: Outcome) {
        match self.told.first {
            None => self.told.first = Some(outcome),
            Some(first) if first != outcome => self.told.another = true,
            Some(_) => {}
        }
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.callers.iter().all(|caller| caller.at == At::Rest)
    }
}

pub(crate) const fn key() -> RecordKey {
    KEY
}

/// One line of a counterexample: the record, what is on the wire, and the gateway's books.
impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.row {
            None => write!(f, "no record")?,
            Some(row) => write!(
                f,
                "{} by {:x} epoch {} lease {}",
                row.phase.as_str(),
                row.owner,
                row.epoch,
                row.lease
            )?,
        }
        let on_the_wire = self.wire.iter().flatten().count();
        write!(
            f,
            " | {on_the_wire} on the wire | {} effects",
            self.gateway.effects
        )
    }
}
