//! The walk: `stateright` goes breadth first through every state that can be reached, and keeps a list of what it has met.
//!
//! The claims are about steps, and `stateright` asks about states. So a state is asked about all the steps that lead away from it: a
//! claim that some of them breaks is not kept there, and a sight that some of them shows is seen there. No state has to remember how it
//! was come to, and there are as many states as there are worlds.

use super::invariants::{Invariant, holds};
use super::sights::{self, Sight};
use super::steps::{Action, Keys, Steps};
use super::world::World;
use stateright::{Checker, Expectation, HasDiscoveries, Model, Path, Property};
use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::OnceLock;

/// More steps than this are a bound that was raised too far.
const MOST: usize = 500_000_000;

/// A world, and what can happen next in it: worked out once, when the walk comes by, for all who ask.
#[derive(Clone)]
pub(crate) struct Place {
    world: World,
    next: OnceLock<Steps>,
}

impl Place {
    fn at(world: World) -> Self {
        Self {
            world,
            next: OnceLock::new(),
        }
    }

    fn steps(&self, keys: &Keys) -> &Steps {
        self.next.get_or_init(|| keys.next(&self.world))
    }

    /// The first step from here that breaks a claim.
    fn breaks(&self, keys: &Keys, claim: Invariant) -> Option<(Action, World)> {
        let mut steps = self.steps(keys).iter().copied();
        steps.find(|(action, to)| !holds(claim, keys, &self.world, *action, to))
    }

    /// Whether a claim is kept here: by every step from here, or by what becomes of it.
    pub(crate) fn keeps(&self, keys: &Keys, claim: Invariant) -> bool {
        match claim {
            Invariant::EveryKeyEnds => keys.ends(&self.world),
            _ => self.breaks(keys, claim).is_none(),
        }
    }

    /// Whether some step from here shows a sight.
    pub(crate) fn shows(&self, keys: &Keys, sight: Sight) -> bool {
        let mut steps = self.steps(keys).iter();
        steps.any(|(action, to)| sight(&self.world, *action, to))
    }
}

/// What can happen next follows from the world, which alone tells one place from another.
impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        self.world == other.world
    }
}

impl Hash for Place {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.world.hash(state);
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.world.fmt(f)
    }
}

impl Model for Keys {
    type State = Place;
    type Action = (Action, World);

    fn init_states(&self) -> Vec<Place> {
        vec![Place::at(self.setting.world())]
    }

    fn actions(&self, from: &Place, steps: &mut Steps) {
        steps.extend_from_slice(from.steps(self));
    }

    fn next_state(&self, _: &Place, (_, to): (Action, World)) -> Option<Place> {
        Some(Place::at(to))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let claims = self.claims.iter().map(|claim| claim.always());
        let sights = if self.sights { sights::all() } else { Vec::new() };
        claims.chain(sights).collect()
    }
}

/// What a walk found.
pub(crate) struct Walk {
    /// How many different states there are.
    pub(crate) states: usize,
    /// How many steps lead from one to the next.
    pub(crate) steps: usize,
    /// How many steps the farthest state is away.
    pub(crate) depth: usize,
    /// The names of the sights that were looked for, and not seen.
    pub(crate) unseen: Vec<&'static str>,
    /// A violation, if there is one: the shortest, where one claim was checked.
    pub(crate) violation: Option<Violation>,
}

/// A way to break a claim.
pub(crate) struct Violation {
    /// Which.
    pub(crate) claim: Invariant,
    /// What happened, and where it led.
    pub(crate) way: Steps,
}

/// Walks through all states, or up to a violation. On one thread, so that it is breadth first to the letter.
///
/// # Panics
/// When there are more than [`MOST`] steps: a walk that stops half-way proves nothing and must not look as if it did.
pub(crate) fn walk(keys: Keys) -> Walk {
    let checker = keys
        .checker()
        .target_state_count(MOST)
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    assert!(checker.state_count() < MOST, "{MOST} steps: raise the bound");
    let mut found = checker.discoveries();
    let mut sights = checker.model().properties();
    sights.retain(|asked| matches!(asked.expectation, Expectation::Sometimes));
    Walk {
        // it counts the state in which all begins as if a step had led there
        steps: checker.state_count() - 1,
        depth: checker.max_depth() - 1,
        states: checker.unique_state_count(),
        unseen: sights
            .iter()
            .map(|sight| sight.name)
            .filter(|name| !found.contains_key(name))
            .collect(),
        violation: violation(checker.model(), &mut found),
    }
}

/// The violation with the shortest way, among those found.
fn violation(
    keys: &Keys,
    found: &mut HashMap<&'static str, Path<Place, (Action, World)>>,
) -> Option<Violation> {
    let broken = keys.claims.iter().filter_map(|claim| {
        let path = found.remove(claim.always().name)?;
        let last = path.last_state().breaks(keys, *claim);
        let mut way = path.into_actions();
        way.extend(last);
        Some(Violation { claim: *claim, way })
    });
    broken.min_by_key(|violation| violation.way.len())
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?} is broken after {} steps:", self.claim, self.way.len())?;
        for (number, (action, state)) in self.way.iter().enumerate() {
            writeln!(f, "  {:2}. {:34} {state}", number + 1, format!("{action:?}"))?;
        }
        Ok(())
    }
}
