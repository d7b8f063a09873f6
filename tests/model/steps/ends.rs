//! What becomes of a key when nothing goes wrong any more.
//!
//! Whoever lives finishes, what is on its way arrives, time passes, somebody looks once, and the client asks once more. A walk of
//! all ways checks this from each state, so it holds whatever went wrong before.

use super::{Action, Keys, Steps, Who};
use crate::world::{At, LEASE, NOW, World};
use tollgate_core::store::idempotency::{Phase, rule};

/// More steps than a call has.
const MOST: usize = 40;

impl Keys {
    /// Whether the key ends: with a final answer, or listed as open until somebody looks.
    pub(crate) fn ends(&self, from: &World) -> bool {
        let mut world = World {
            faults: 0,
            stray: None,
            look: None,
            ..*from
        };
        for caller in &mut world.callers {
            caller.tries = 0;
        }
        if !self.finish(&mut world) {
            return false;
        }
        for _ in 0..=LEASE {
            world = self.tick(&world);
        }
        if world.row.is_some_and(|row| row.is_open()) {
            // known to be unknown: somebody hears of it, and one look ends it
            let record = world.record();
            if !record.is_some_and(|record| rule::is_unresolved(&record, NOW)) || !self.look_once(&mut world)
            {
                return false;
            }
        }
        world.patience < 0 || from.patience < 0 || self.client_hears(world)
    }

    /// Lets every caller come to its end, and everything arrive.
    fn finish(&self, world: &mut World) -> bool {
        for _ in 0..MOST {
            let mut steps = Steps::new();
            for who in Who::BOTH {
                self.caller_steps(world, who, &mut steps);
            }
            steps.retain(|(action, _)| !matches!(action, Action::Renew(..)));
            if steps.is_empty() {
                self.gateway_steps(world, &mut steps);
            }
            if steps.is_empty() && !world.is_quiet() {
                // whoever waits for an answer that will not come
                world.faults = 1;
                for who in Who::BOTH {
                    self.caller_steps(world, who, &mut steps);
                }
                steps.retain(|(action, _)| matches!(action, Action::TimesOut(_)));
            }
            match steps.first() {
                Some((_, next)) => *world = World { faults: 0, ..*next },
                None => return world.is_quiet(),
            }
        }
        false
    }

    fn look_once(&self, world: &mut World) -> bool {
        let mut steps = Steps::new();
        self.sweep(world);
        for expected in ["look", "resolve"] {
            steps.clear();
            self.upkeep_steps(world, &mut steps);
            let next = steps.iter().find(|(action, _)| match action {
                Action::Looks { .. } => expected == "look",
                Action::Resolves(_) => expected == "resolve",
                _ => false,
            });
            match next {
                Some((_, next)) => *world = *next,
                None => return false,
            }
        }
        world.row.is_none_or(|row| !row.is_open())
    }

    /// The client asks once more, for the same thing, and gets an answer for good.
    fn client_hears(&self, mut world: World) -> bool {
        let client = &mut world.callers[0];
        client.tries = 1;
        if let Some(row) = world.row {
            client.request = row.request;
        }
        world.told = Default::default();
        world.patience = 0;
        let spent = world.row.is_some_and(|row| {
            matches!(row.phase, Phase::Expired | Phase::Completed) && row.expires == Some(0)
        });
        self.finish(&mut world)
            && world.callers[0].at == At::Rest
            && (spent || world.told.first.is_some())
            && world.gateway.effects <= 1
    }
}
