//! What should be possible: a model in which nothing ever happens keeps every invariant.

use super::invariants::applied;
use super::steps::{Action, Keys, Said};
use super::walk::Place;
use super::world::{At, World};
use stateright::Property;
use tollgate_core::store::idempotency::{Held, Phase, Resolved, Settled};

/// A sight, as a step shows it.
pub(crate) type Sight = fn(&World, Action, &World) -> bool;

macro_rules! sights {
    ($(($name:literal, $sight:expr $(,)?),)+) => {
        /// All of them, as `stateright` asks for them.
        pub(crate) fn all() -> Vec<Property<Keys>> {
            vec![$(Property::sometimes($name, |keys, place: &Place| place.shows(keys, $sight)),)+]
        }
    };
}

fn phase(world: &World) -> Option<Phase> {
    world.row.map(|row| row.phase)
}

fn begins(action: Action, with: Said) -> bool {
    matches!(
        action,
        Action::Begin(_, said) | Action::BeginTwice(_, said) | Action::BeginAgain(_, said) if said == with
    )
}

// each with its name; the walk of a setting says which of them it met
sights! {
    ("a charge", |_, action, _| matches!(action, Action::Executes(_))),
    ("a charge that its caller hears of", |_, action, to| {
        matches!(action, Action::Settle(..)) && to.told.first.is_some_and(|told| told.executed)
    }),
    ("a decline that its caller hears of", |_, action, to| {
        matches!(action, Action::Settle(..)) && to.told.first.is_some_and(|told| !told.executed)
    }),
    ("a replay", |_, action, _| begins(action, Said::Replay)),
    ("a repeat while the first call runs", |_, action, _| {
        begins(action, Said::InFlight)
    }),
    ("a repeat that meets a doubt", |_, action, _| {
        begins(action, Said::Unknown)
    }),
    ("another request under the key", |_, action, _| {
        begins(action, Said::Mismatch)
    }),
    ("a repeat after the answer's retention", |_, action, _| {
        begins(action, Said::Expired)
    }),
    ("a begin that is asked again and recognised", |from, action, _| {
        matches!(action, Action::BeginAgain(_, Said::Acquired)) && from.row.is_some()
    }),
    ("a claim of which nobody heard, found", |_, action, to| {
        matches!(action, Action::LooksForItsClaim(who) if to.callers[who.0].at != At::Rest)
    }),
    ("a prepared claim taken over", |from, action, _| {
        begins(action, Said::Acquired) && phase(from) == Some(Phase::Prepared)
    }),
    ("a released key that runs again", |from, action, _| {
        begins(action, Said::Acquired) && phase(from) == Some(Phase::Released)
    }),
    ("an owner that comes too late to arm", |_, action, _| {
        matches!(action, Action::Arm(_, Held::Fenced))
    }),
    ("a settlement that is fenced off", |_, action, _| {
        matches!(action, Action::Settle(_, Settled::Fenced(_)))
    }),
    ("a settlement that stood there already", |_, action, _| {
        matches!(action, Action::Settle(_, Settled::AlreadyApplied))
    }),
    ("a doubt ended by its owner's answer", |from, action, to| {
        applied(action) && phase(from) == Some(Phase::Unknown) && phase(to) == Some(Phase::Completed)
    }),
    (
        "a doubt ended by its owner's word that nothing left",
        |from, action, to| {
            applied(action) && phase(from) == Some(Phase::Unknown) && phase(to) == Some(Phase::Released)
        },
    ),
    ("a doubt ended by what was found", |_, action, to| {
        action == Action::Resolves(Resolved::Resolved) && phase(to) == Some(Phase::Completed)
    }),
    ("a doubt ended because nothing was found", |_, action, to| {
        action == Action::Resolves(Resolved::Resolved) && phase(to) == Some(Phase::Released)
    }),
    (
        "a declared absence that its owner's proof beats",
        |from, action, to| {
            let wrong = from
                .row
                .is_some_and(|row| row.phase == Phase::Released && row.by_evidence);
            (applied(action) || action == Action::Stray)
                && wrong
                && to.row.is_some_and(|row| row.phase != Phase::Released)
        },
    ),
    ("absence that is declared too early", |_, action, _| {
        matches!(action, Action::Resolves(Resolved::TooEarly { .. }))
    }),
    (
        "a write that comes late and is carried out",
        |from, action, to| action == Action::Stray && from.row != to.row,
    ),
    ("a tombstone", |_, action, to| {
        action == Action::Collect && phase(to) == Some(Phase::Expired)
    }),
    ("a key that is forgotten", |_, action, to| {
        action == Action::Collect && to.row.is_none()
    }),
    ("a repeat that the gateway recognises", |_, action, _| {
        matches!(action, Action::Recognises(_))
    }),
}
