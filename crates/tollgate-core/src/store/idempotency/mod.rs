//! One key, at most one effect: the records behind the idempotency layer.
//!
//! ```text
//! Absent ─begin▶ Prepared ─arm▶ Armed ─settle▶ Completed (executed or declined; immutable) ─retention▶ Expired
//!                  │  └lease lapsed: may be taken over (epoch+1)
//!                  └─ settle(nothing happened) ─▶ Released (row kept: pins the fingerprint, epoch goes on)
//!                                Armed ─ time-out, panic, crash, lost lease ─▶ Unknown ─resolve(evidence)▶ Completed | Released
//! ```
//!
//! A lease can be taken over only while nothing can have happened (`Prepared`). Once `Armed`, time alone never makes a
//! key runnable again: only the owner's own proof, or evidence, does. `Armed` and `Unknown` have no expiry. So between
//! two arms of one key lies a proof that nothing happened, and safety needs no clocks.
//!
//! An open outcome is never forgotten, so a flood of them could fill a store. They are counted by [`Tenant`], and a begin may say how
//! many are too many: then that tenant's new keys are refused, before anything is sent, and nothing else is.
//!
//! The decisions stand in [`rule`], pure; stores differ only in how they make a change atomic.

mod boxed;
pub mod rule;
#[cfg(feature = "seal")]
pub mod seal;
#[cfg(test)]
mod tests;

pub use boxed::BoxedIdempotencyStore;

use super::{Capabilities, StoreError};
use crate::clock::Timestamp;
use crate::verdict::Effect;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

macro_rules! hashes {
    ($($(#[doc = $doc:literal])+ $name:ident;)+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// From a keyed hash.
            #[must_use]
            pub const fn new(hash: [u8; 32]) -> Self {
                Self(hash)
            }

            /// The hash.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// As 64 hex digits, for people and audits.
            #[must_use]
            pub fn to_hex(&self) -> String {
                crate::id::hex(&self.0)
            }

            /// From 64 hex digits; `None` when it is anything else.
            #[must_use]
            pub fn from_hex(text: &str) -> Option<Self> {
                let digits = text.as_bytes();
                if digits.len() != 64 {
                    return None;
                }
                let mut hash = [0; 32];
                for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
                    let digit = |at: usize| char::from(pair[at]).to_digit(16);
                    *byte = u8::try_from(digit(0)? * 16 + digit(1)?).ok()?;
                }
                Some(Self(hash))
            }
        }

        /// Four bytes: enough to find it in a log.
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({}..)"), crate::id::hex(&self.0[..4]))
            }
        }
    )+};
}

hashes! {
    /// Names a record: a keyed hash of scope and client key. The client's key itself is never stored.
    RecordKey;
    /// Tells a repeat from a reuse: a keyed hash of everything that must not differ.
    Fingerprint;
}

/// Who began: random, made by the client of the store, so that a begin whose answer was lost can be recognised.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Owner(pub u128);

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Owner({:08x}..)", self.0 >> 96)
    }
}

/// On whose account open outcomes are counted: a keyed hash of the scope, made by [`Secrets::tenant`](crate::Secrets::tenant). Who has
/// too many of them gets no new claim ([`Begin::most_open`]), so that one tenant's flood does not fill the store for all.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tenant(pub u64);

impl Tenant {
    /// Of services that serve nobody in particular: all their keys are on one account.
    pub const NONE: Self = Self(0);
}

/// Four bytes: enough to tell two apart in a log.
impl fmt::Debug for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tenant({:08x}..)", self.0 >> 32)
    }
}

/// Proof of a claim: epoch and owner fence every later write. The epoch orders attempts and makes audits readable; the
/// random owner survives a store that lost its counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token {
    /// Which record.
    pub key: RecordKey,
    /// Goes up by one at every acquisition.
    pub epoch: u64,
    /// Who holds it.
    pub owner: Owner,
}

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
    /// Since when: the store's [`now`](IdempotencyStore::now) before anybody looked. What was not there while the owner could
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

/// The port. Every method is one atomic step of [`rule`]; every future may be dropped, after which the step may or may
/// not have happened.
pub trait IdempotencyStore: Send + Sync + 'static {
    /// How it answers. `Unpin` and `'static`, so that a begin that nobody awaits any more can be moved into a task and
    /// undone.
    type Future<T: Send + 'static>: Future<Output = Result<T, StoreError>> + Send + Unpin + 'static;

    /// What it promises.
    fn capabilities(&self) -> Capabilities;

    /// What time it is by the store's own clock, the one that leases are measured by.
    fn now(&self) -> Self::Future<Timestamp>;

    /// Claims a key, or says why not. See [`rule::begin_within`].
    fn begin(&self, begin: Begin) -> Self::Future<Begun>;

    /// Marks that the effect may happen from now on. See [`rule::arm`].
    fn arm(&self, token: Token, lease: Duration) -> Self::Future<Held>;

    /// Extends the lease. See [`rule::renew`].
    fn renew(&self, token: Token, lease: Duration) -> Self::Future<Held>;

    /// Writes how it ended; may be repeated until it is acknowledged. See [`rule::settle`].
    fn settle(&self, token: Token, settlement: &Settlement) -> Self::Future<Settled>;

    /// Ends a doubt by evidence. See [`rule::resolve`].
    fn resolve(&self, resolve: Resolve) -> Self::Future<Resolved>;

    /// Reads a record.
    fn get(&self, key: RecordKey) -> Self::Future<Option<Record>>;

    /// For a caller to whom [`begin`](Self::begin) said `InFlight`: answers once that may be over, because the claim was settled, was
    /// resolved, or has lapsed, whichever process did it. Too early is allowed; an error means that the store cannot tell at the
    /// moment. Neither says anything about the record: begin again. Dropping it changes nothing.
    ///
    /// `None` (default): the store never tells, and whoever waits asks again from time to time. A word can be lost on its way, so a
    /// waiter does that in any case, only more seldom.
    fn changed(&self, key: RecordKey) -> Option<Self::Future<()>> {
        let _ = key;
        None
    }

    /// Up to `limit` keys whose outcome is open, by key, after `after`. `Armed` records are listed only once their
    /// lease has lapsed.
    fn unresolved(&self, after: Option<RecordKey>, limit: u32) -> Self::Future<Vec<Unresolved>>;

    /// Turns up to `limit` armed records whose lease has lapsed into unknown ones. How many it was.
    fn sweep(&self, limit: u32) -> Self::Future<u64>;

    /// Forgets up to `limit` answers whose retention is over, keeping a tombstone for `tombstone`; then forgets
    /// tombstones. Never touches `Armed` and `Unknown`. How many records changed.
    fn collect(&self, tombstone: Duration, limit: u32) -> Self::Future<u64>;
}

/// A shared store is a store.
impl<S: IdempotencyStore> IdempotencyStore for Arc<S> {
    type Future<T: Send + 'static> = S::Future<T>;

    fn capabilities(&self) -> Capabilities {
        (**self).capabilities()
    }
    fn now(&self) -> Self::Future<Timestamp> {
        (**self).now()
    }
    fn begin(&self, begin: Begin) -> Self::Future<Begun> {
        (**self).begin(begin)
    }
    fn arm(&self, token: Token, lease: Duration) -> Self::Future<Held> {
        (**self).arm(token, lease)
    }
    fn renew(&self, token: Token, lease: Duration) -> Self::Future<Held> {
        (**self).renew(token, lease)
    }
    fn settle(&self, token: Token, settlement: &Settlement) -> Self::Future<Settled> {
        (**self).settle(token, settlement)
    }
    fn resolve(&self, resolve: Resolve) -> Self::Future<Resolved> {
        (**self).resolve(resolve)
    }
    fn get(&self, key: RecordKey) -> Self::Future<Option<Record>> {
        (**self).get(key)
    }
    fn changed(&self, key: RecordKey) -> Option<Self::Future<()>> {
        (**self).changed(key)
    }
    fn unresolved(&self, after: Option<RecordKey>, limit: u32) -> Self::Future<Vec<Unresolved>> {
        (**self).unresolved(after, limit)
    }
    fn sweep(&self, limit: u32) -> Self::Future<u64> {
        (**self).sweep(limit)
    }
    fn collect(&self, tombstone: Duration, limit: u32) -> Self::Future<u64> {
        (**self).collect(tombstone, limit)
    }
}
