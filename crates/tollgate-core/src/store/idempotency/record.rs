//! What is kept of a key, and where it stands.

use super::names::{Fingerprint, Owner, RecordKey, Tenant};
use crate::clock::Timestamp;
use crate::verdict::Effect;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Where a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Claimed; nothing that anybody could see has happened.
    Prepared,
    /// The effect may happen at any moment, or has.
    Armed,
    /// Final. Never changes again until its retention is over.
    Completed,
    /// Nothing happened: the key may run again, for the same request.
    Released,
    /// It may have happened, and nobody here knows.
    Unknown,
    /// The answer's retention is over: the key is spent, its answer forgotten.
    Expired,
}

impl Phase {
    /// Every phase.
    pub const ALL: [Self; 6] = [
        Self::Prepared,
        Self::Armed,
        Self::Completed,
        Self::Released,
        Self::Unknown,
        Self::Expired,
    ];

    /// The stable lower-case name, also its stored form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Prepared => "prepared",
            Self::Armed => "armed",
            Self::Completed => "completed",
            Self::Released => "released",
            Self::Unknown => "unknown",
            Self::Expired => "expired",
        }
    }

    /// The phase with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.as_str() == name)
    }
}

/// Why nobody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Doubt {
    /// The answer itself was in doubt: a time-out, a reset, a 5xx.
    AnswerInDoubt,
    /// The guarded call panicked.
    Panicked,
    /// The guarded call was dropped.
    Abandoned,
    /// The owner's lease lapsed while armed: it crashed, froze, or lost its store.
    OwnerLost,
}

impl Doubt {
    /// Every reason.
    pub const ALL: [Self; 4] = [
        Self::AnswerInDoubt,
        Self::Panicked,
        Self::Abandoned,
        Self::OwnerLost,
    ];

    /// The stable lower-case name, also its stored form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AnswerInDoubt => "answer_in_doubt",
            Self::Panicked => "panicked",
            Self::Abandoned => "abandoned",
            Self::OwnerLost => "owner_lost",
        }
    }

    /// The reason with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|doubt| doubt.as_str() == name)
    }
}

/// The stored form of an answer. What its parts mean is the protocol's business.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Envelope {
    /// Whether it was an `Ok`.
    pub ok: bool,
    /// The HTTP status; 0 for typed answers.
    pub status: u16,
    /// Kept headers, encoded.
    pub head: Option<Arc<[u8]>>,
    /// The body, or the typed answer's recorded bytes.
    pub body: Arc<[u8]>,
}

/// Answers are personal data: sizes only.
impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Envelope")
            .field("ok", &self.ok)
            .field("status", &self.status)
            .field("head_bytes", &self.head.as_deref().map_or(0, <[u8]>::len))
            .field("body_bytes", &self.body.len())
            .finish()
    }
}

/// A final outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// `true` when it was executed, `false` when it was declined.
    pub executed: bool,
    /// The answer to replay; `None` when it was too large, streamed, or is not known (resolved by evidence alone).
    pub envelope: Option<Envelope>,
}

impl Completion {
    /// Executed or declined, as an effect.
    #[must_use]
    pub const fn effect(&self) -> Effect {
        if self.executed {
            Effect::Executed
        } else {
            Effect::Declined
        }
    }
}

/// Who says how a doubt ended, and why. Both go into the record for the auditor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Who: `"resolver"`, `"ops@example"`.
    pub actor: Arc<str>,
    /// Why: `"lookup found pay_17, captured"`.
    pub reason: Arc<str>,
}

/// One record, as the rule sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where it stands.
    pub phase: Phase,
    /// How often it was acquired.
    pub epoch: u64,
    /// Who holds or held it.
    pub owner: Owner,
    /// What it was begun for.
    pub fingerprint: Fingerprint,
    /// On whose account it counts while `Unknown`: as its last acquisition said.
    pub tenant: Tenant,
    /// When the owner counts as lost.
    pub lease_until: Timestamp,
    /// When the answer may be forgotten; `None` while unresolved.
    pub expires_at: Option<Timestamp>,
    /// How long a final answer is kept.
    pub retention: Duration,
    /// When it last changed.
    pub changed_at: Timestamp,
    /// Why nobody knows, while `Unknown`.
    pub doubt: Option<Doubt>,
    /// The outcome, when `Completed`.
    pub completion: Option<Completion>,
    /// Who ended a doubt, if anybody had to.
    pub evidence: Option<Evidence>,
}

/// A key whose outcome is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unresolved {
    /// Which record.
    pub key: RecordKey,
    /// On whose account.
    pub tenant: Tenant,
    /// At which epoch.
    pub epoch: u64,
    /// `Armed` or `Unknown`.
    pub phase: Phase,
    /// Since when.
    pub since: Timestamp,
    /// Why, if that is known.
    pub doubt: Option<Doubt>,
}

impl Unresolved {
    /// The listing's view of a record.
    #[must_use]
    pub const fn of(key: RecordKey, record: &Record) -> Self {
        Self {
            key,
            tenant: record.tenant,
            epoch: record.epoch,
            phase: record.phase,
            since: record.changed_at,
            doubt: record.doubt,
        }
    }
}
