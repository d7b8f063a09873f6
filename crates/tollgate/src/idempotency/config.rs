//! Settings.

use crate::setters::setters;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// When a claim is armed, that is: from when on a crash leaves the outcome unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArmPolicy {
    /// In the same step as the claim: two round trips to the store per guarded call.
    #[default]
    AtBegin,
    /// Just before the inner service is called, once it is ready: three round trips, and a crash while the inner
    /// service was not ready leaves nothing in doubt.
    BeforeCall,
    /// Never: for handlers whose whole effect are rows that commit together with the stored answer
    /// ([`GuardedHttp::settlement_of`](super::GuardedHttp::settlement_of), `settle_in` of the PostgreSQL store). Until that commit
    /// nothing can have happened, so nothing is ever in doubt: whatever fails, a crash and a panic too, the key runs again. A handler
    /// that does anything else under this policy may do it twice.
    InTransaction,
}

/// What a repeat gets while the first call still runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhileInFlight {
    /// 409 (`in-progress`) at once, with a time to come back.
    #[default]
    Refuse,
    /// The first call's answer, if it comes within this time; then 409. A waiter only reads: it never releases,
    /// extends or deletes what it waits for.
    Wait(Duration),
}

/// The settings of the layer. Deserializes from a table with the fields' names; durations as `{ secs, nanos }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct IdempotencyConfig {
    /// How long an owner may be silent before it counts as lost (default: 60 s). A running call renews it at each third; what is left of it
    /// when a process dies is the time in which a request that it has sent may still arrive, so let it be longer than any gateway's
    /// time-out. A lease that lapses while a call runs makes its outcome unknown until it settles.
    pub lease: Duration,
    /// For how long a running call renews its lease (default: 10 min; zero: never). A call that lasts longer than this and a lease is open
    /// to operators and resolvers, so that one that hangs for ever does not hold its key for ever. Shorter than the gateway remembers a
    /// downstream key.
    pub renew_for: Duration,
    /// How long an answer is kept for replay (default: 30 days). Longer than any client retries.
    pub retention: Duration,
    /// When a claim is armed (default: at begin).
    pub arm: ArmPolicy,
    /// What a repeat gets while the first call runs (default: 409).
    pub while_in_flight: WhileInFlight,
    /// How often a waiter asks the store how the first call stands (default: 50 ms). Twenty times more seldom while the store tells
    /// by itself, as PostgreSQL does: a word can be lost on its way.
    pub look_again: Duration,
    /// How many repeats may wait at a time, over all keys of a layer (default: 1,000). Those beyond are told at once what they would be
    /// told after waiting.
    pub max_waiting: usize,
    /// How long an answer waits for its record to be written when the store fails after the effect (default: 2 s). After
    /// that the truth is told and writing goes on in the background.
    pub settle_patience: Duration,
    /// How long a repeat that meets an unknown outcome waits for it to be looked up (default: 2 s), where a
    /// [resolver](super::IdempotencyLayer::resolver) is set.
    pub resolve_patience: Duration,
    /// How many outcomes of one tenant may be unknown at a time (default: `None`, any number; a store for several tenants is well
    /// served with 1,000). From then on the tenant's new keys are refused with `too-many-unresolved` (429) before anything is sent, so
    /// that its flood does not fill the store for all; repeats, settlements and look-ups go on, and each outcome that becomes known
    /// makes room. A tenant is the scope of the keys: the caller's name; without scopes all keys are on one account.
    pub max_unresolved: Option<u32>,
}

impl Default for IdempotencyConfig {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(60),
            renew_for: Duration::from_secs(10 * 60),
            retention: Duration::from_secs(30 * 24 * 60 * 60),
            arm: ArmPolicy::AtBegin,
            while_in_flight: WhileInFlight::Refuse,
            look_again: Duration::from_millis(50),
            max_waiting: 1_000,
            settle_patience: Duration::from_secs(2),
            resolve_patience: Duration::from_secs(2),
            max_unresolved: None,
        }
    }
}

setters! {
    IdempotencyConfig {
        /// Sets the lease (default: 60 s).
        lease: Duration;
        /// Sets for how long a running call renews its lease (default: 10 min).
        renew_for: Duration;
        /// Sets how long an answer is kept (default: 30 days).
        retention: Duration;
        /// Sets when a claim is armed (default: at begin).
        arm: ArmPolicy;
        /// Sets what a repeat gets while the first call runs (default: 409).
        while_in_flight: WhileInFlight;
        /// Sets how often a waiter asks the store (default: 50 ms).
        look_again: Duration;
        /// Sets how many repeats may wait at a time (default: 1,000).
        max_waiting: usize;
        /// Sets how long an answer waits for a failing store (default: 2 s).
        settle_patience: Duration;
        /// Sets how long a repeat waits for a look-up (default: 2 s).
        resolve_patience: Duration;
        /// Sets how many outcomes of one tenant may be unknown at a time (default: any number).
        max_unresolved: Option<u32>;
    }
}
