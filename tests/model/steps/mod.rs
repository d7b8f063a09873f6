//! What can happen: each step is one thing that one party does, and any party may go next.
//!
//! A party that goes last for a long time is frozen, one that never goes again has died with its messages still on their way, so
//! most of what can go wrong needs no step of its own. What does costs one of the `faults` of the [setting](super::setting):
//! a crash that a new attempt follows, an answer that is lost, a write that arrives twice, a time-out before the answer.

mod caller;
pub(crate) use caller::claim_of;
mod ends;
mod gateway;
mod store;
mod upkeep;

use super::invariants::Invariant;
use super::policy::Policy;
use super::setting::Setting;
use super::world::World;
use std::fmt;
use tollgate_core::store::idempotency::{Held, Resolved, Settled};

/// The first or the second caller.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Who(pub(crate) usize);

impl Who {
    pub(crate) const BOTH: [Self; 2] = [Self(0), Self(1)];
}

impl fmt::Debug for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0 == 0 { "A" } else { "B" })
    }
}

/// How a begin was answered, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Acquired,
    Replay,
    InFlight,
    Mismatch,
    Unknown,
    Expired,
}

/// What one party did. Where it asked the store, with the store's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// A caller begins.
    Begin(Who, Said),
    /// As before, and its request arrives a second time later.
    BeginTwice(Who, Said),
    /// Its request or the answer is lost.
    BeginLost(Who),
    /// It asks again, as the same owner.
    BeginAgain(Who, Said),
    /// It takes the store for away.
    BeginGivenUp(Who),
    /// It looks whether its begin claimed the key all the same, in order to release that.
    LooksForItsClaim(Who),
    Arm(Who, Held),
    ArmLost(Who),
    Renew(Who, Held),
    /// The service behind will never be ready.
    NeverReady(Who),
    Send(Who),
    /// Nothing left: connection refused, breaker open, or the lease is over.
    NotSent(Who),
    Hears(Who),
    TimesOut(Who),
    Panics(Who),
    Settle(Who, Settled),
    SettleTwice(Who, Settled),
    SettleLost(Who),
    SettleGivenUp(Who),
    /// Its process dies; whatever it sent is still on its way.
    Dies(Who),

    /// The gateway moves money for this owner.
    Executes(u8),
    Declines(u8),
    /// It recognises the key, and answers as before.
    Recognises(u8),
    /// It turns the request away at the door.
    TurnsAway(u8),
    /// The network makes a copy.
    Copies(u8),

    /// A write that its sender gave up on is carried out.
    Stray,
    /// Time passes.
    Tick,
    Sweep,
    Collect,
    /// Somebody looks into an open key, and finds something or nothing.
    Looks {
        finds: bool,
    },
    /// And writes that down.
    Resolves(Resolved),
    /// The store loses its last write.
    FailsOver,
}

/// The model: a policy in its surroundings, and what is asked about it.
pub(crate) struct Keys {
    pub(crate) setting: Setting,
    pub(crate) policy: &'static dyn Policy,
    /// What is checked: all of it, or the one claim that a control is expected to break.
    pub(crate) claims: Vec<Invariant>,
    /// Whether the walk also looks for the [sights](super::sights).
    pub(crate) sights: bool,
}

/// Steps, each with where it leads.
pub(crate) type Steps = Vec<(Action, World)>;

impl Keys {
    /// Everything that can happen next.
    pub(crate) fn next(&self, from: &World) -> Steps {
        let mut steps = Steps::new();
        for who in Who::BOTH {
            self.caller_steps(from, who, &mut steps);
        }
        self.gateway_steps(from, &mut steps);
        self.upkeep_steps(from, &mut steps);
        steps
    }
}
