//! In what surroundings: what the gateway and the callers are like, and how much may go wrong.

use super::world::{At, Caller, Gateway, LEASE, RETENTION, TOMBSTONE, Told, World};
use tollgate::idempotency::ArmPolicy;

/// For ever.
pub(crate) const FOR_EVER: i8 = i8::MAX;

/// For how many ticks callers go on trying: for less than an answer and its tombstone are kept.
const PATIENCE: i8 = RETENTION + TOMBSTONE - 1;

/// A gateway that takes no key, and callers that use one key for two things.
pub(crate) const TWO_REQUESTS: Setting = Setting {
    requests: [1, 2],
    ..Setting::bare(ArmPolicy::AtBegin)
};

/// The surroundings that the policy is made for.
pub(crate) const MADE_FOR: &[(&str, Setting)] = &[
    ("bare, armed at begin", Setting::bare(ArmPolicy::AtBegin)),
    (
        "bare, armed before the call",
        Setting::bare(ArmPolicy::BeforeCall),
    ),
    ("bare, two requests", TWO_REQUESTS),
    ("keyed, armed at begin", Setting::keyed(ArmPolicy::AtBegin)),
    (
        "keyed, armed before the call",
        Setting::keyed(ArmPolicy::BeforeCall),
    ),
    (
        "forgetful, armed at begin",
        Setting::forgetful(ArmPolicy::AtBegin),
    ),
];

/// What a walk takes for given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Setting {
    pub(crate) arm: ArmPolicy,
    /// Whether the gateway recognises a downstream key, and for how many ticks.
    pub(crate) recognises: Option<i8>,
    /// Whether an owner may send, and a request arrive, after the lease has lapsed.
    pub(crate) late: bool,
    /// Whether owners renew their leases, so that a call may last longer than one.
    pub(crate) renews: bool,
    /// How often each caller tries.
    pub(crate) tries: [u8; 2],
    /// What each caller asks for.
    pub(crate) requests: [u8; 2],
    /// How many things may go wrong.
    pub(crate) faults: u8,
    /// For how many ticks callers go on trying.
    pub(crate) patience: i8,
    /// Whether the network may deliver a request twice.
    pub(crate) copies: bool,
    /// Whether somebody who looks may miss what was booked already.
    pub(crate) looks_lag: bool,
    /// Whether the store may fail over to a replica that lacks the last write.
    pub(crate) fails_over: bool,
}

impl Setting {
    /// A gateway that takes no key, and owners that neither send nor are heard once their lease has lapsed.
    pub(crate) const fn bare(arm: ArmPolicy) -> Self {
        Self {
            arm,
            recognises: None,
            late: false,
            renews: true,
            tries: [2, 1],
            requests: [1, 1],
            faults: 2,
            patience: PATIENCE,
            copies: false,
            looks_lag: false,
            fails_over: false,
        }
    }

    /// A gateway that recognises its key for ever, owners that may freeze for any time and then send, and a network that makes
    /// copies.
    pub(crate) const fn keyed(arm: ArmPolicy) -> Self {
        Self {
            recognises: Some(FOR_EVER),
            late: true,
            copies: true,
            tries: [1, 1],
            ..Self::bare(arm)
        }
    }

    /// A gateway that recognises its key for little longer than a call may last, so that an attempt can be repeated within a call
    /// and never in a later one.
    pub(crate) const fn forgetful(arm: ArmPolicy) -> Self {
        Self {
            recognises: Some(LEASE + 1),
            renews: false,
            ..Self::bare(arm)
        }
    }

    /// With what a longer run adds to it: see the lesson at the top of `main.rs`.
    pub(crate) fn as_asked_for(mut self) -> Self {
        let more = |name, by: &mut u8| *by += from_environment(name);
        more("TOLLGATE_MODEL_MORE_FAULTS", &mut self.faults);
        for tries in &mut self.tries {
            more("TOLLGATE_MODEL_MORE_TRIES", tries);
        }
        self
    }

    /// Before anything happened.
    pub(crate) fn world(&self) -> World {
        let caller = |number: usize| Caller {
            at: At::Rest,
            tries: self.tries[number],
            owner: if number == 0 { 0xa0 } else { 0xb0 },
            request: self.requests[number],
        };
        World {
            row: None,
            callers: [caller(0), caller(1)],
            wire: [None; 3],
            gateway: Gateway::default(),
            stray: None,
            look: None,
            told: Told::default(),
            faults: self.faults,
            patience: self.patience,
            replica: self.fails_over.then_some(None),
        }
    }

    /// How long a request may still arrive that is sent with so much of the lease left.
    pub(crate) const fn life(&self, lease: i8) -> i8 {
        if self.late { LEASE } else { lease }
    }
}

/// By how much a longer run raises a bound.
fn from_environment(name: &str) -> u8 {
    match std::env::var(name) {
        Ok(value) => value
            .parse()
            .unwrap_or_else(|_| panic!("{name}={value}: a small number")),
        Err(_) => 0,
    }
}
