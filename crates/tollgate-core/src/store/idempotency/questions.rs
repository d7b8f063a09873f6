//! What a store is asked, and what it answers.

use super::names::{Fingerprint, Owner, RecordKey, Tenant, Token};
use super::record::{Completion, Doubt, Evidence, Phase};
use crate::clock::Timestamp;
use std::time::Duration;

/// Asks to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begin {
    /// Which record.
    pub key: RecordKey,
    /// What for.
    pub fingerprint: Fingerprint,
    /// Who asks; the same owner may ask again when the answer was lost.
    pub owner: Owner,
    /// How long the owner may be silent. Longer than the longest guarded call.
    pub lease: Duration,
    /// How long a final answer is kept.
    pub retention: Duration,
    /// Whether to arm in the same step, when nothing can be told apart between claim and effect.
    pub arm: bool,
    /// On whose account it counts if its outcome becomes unknown.
    pub tenant: Tenant,
    /// How many outcomes of the tenant may be unknown at most for a key to be acquired; `u32::MAX`: any number, and nobody counts.
    pub most_open: u32,
}

/// The answer to a begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// The caller holds the claim.
    Acquired(Token),
    /// It was done before: here is the outcome.
    Replay(Completion),
    /// Somebody else is at it.
    InFlight {
        /// When it makes sense to ask again.
        retry_after: Duration,
    },
    /// The key was used for a different request.
    Mismatch,
    /// It may have happened, and nobody knows yet.
    Unknown {
        /// Since when.
        since: Timestamp,
    },
    /// It was done, and its answer is no longer kept.
    Expired,
    /// The key is free, but too many outcomes of its tenant are unknown: nothing was claimed. Only what would be acquired anew meets
    /// this, never a repeat of what is done or under way.
    TooManyOpen,
}

/// The answer to an arm or a renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// The claim stands.
    Held,
    /// It was lost: stop before anything is sent.
    Fenced,
}

/// How a guarded call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// With a final answer.
    Completed(Completion),
    /// With certainty that nothing happened.
    Released,
    /// Without anybody knowing.
    Unknown(Doubt),
}

/// The answer to a settlement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// Written.
    Applied,
    /// It stood there already: the acknowledgement of an earlier try was lost.
    AlreadyApplied,
    /// Somebody else decided meanwhile; the record stands at this phase.
    Fenced(Phase),
    /// There is no such record.
    Gone,
}

/// Ends a doubt by evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolve {
    /// Which record.
    pub key: RecordKey,
    /// At which epoch the evidence was gathered.
    pub epoch: u64,
    /// Since when: the store's [`now`](super::IdempotencyStore::now) before anybody looked. What was not there while the owner could
    /// still send may have arrived since, so only a look that began after the lease had lapsed proves absence.
    pub as_of: Timestamp,
    /// What the evidence says.
    pub resolution: Resolution,
    /// Who says so, and why.
    pub evidence: Evidence,
}

/// What the evidence says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// It was executed or declined.
    Completed(Completion),
    /// It did not happen and cannot happen any more.
    Released,
}

/// The answer to a resolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolved {
    /// Written.
    Resolved,
    /// The record is not in doubt, or has moved on to another epoch.
    Stale,
    /// Absence cannot be declared from this look: the owner could still send when it began. Look again after this long.
    TooEarly {
        /// When.
        retry_after: Duration,
    },
}
