//! The gateway: what arrives is carried out, declined, turned away, or recognised.

use super::{Action, Keys, Steps};
use crate::setting::FOR_EVER;
use crate::world::{At, Letter, Outcome, World};
use tollgate_core::Effect;

impl Keys {
    pub(super) fn gateway_steps(&self, world: &World, steps: &mut Steps) {
        for (place, letter) in world.wire.iter().enumerate() {
            let Some(letter) = *letter else { continue };
            if place > 0 && world.wire[place - 1] == Some(letter) {
                continue; // its copy
            }
            let mut arrived = *world;
            arrived.wire[place] = None;
            arrived.wire.sort_unstable();
            self.arrives(&arrived, letter, steps);
            // the network's own copies, and whoever sends late, are matters that only the gateway can settle
            if self.setting.copies && world.faults > 0 && world.has_room_on_the_wire() {
                let mut copied = *world;
                copied.faults -= 1;
                copied.send(letter);
                steps.push((Action::Copies(letter.owner), copied));
            }
        }
    }

    fn arrives(&self, world: &World, letter: Letter, steps: &mut Steps) {
        let owner = letter.owner;
        let recognised = world
            .gateway
            .remembers
            .filter(|(key, _)| self.setting.recognises.is_some() && *key == letter.key);
        if let (Some(_), Some(outcome)) = (recognised, world.gateway.booked) {
            let mut next = *world;
            answer(&mut next, letter, outcome);
            steps.push((Action::Recognises(owner), next));
            return;
        }
        for executed in [true, false] {
            let outcome = Outcome {
                executed,
                body: owner,
            };
            let mut next = *world;
            next.gateway.effects += u8::from(executed);
            if executed || next.gateway.effects == 0 {
                next.gateway.booked = Some(outcome);
            }
            next.gateway.remembers = self.setting.recognises.map(|ticks| (letter.key, ticks));
            answer(&mut next, letter, outcome);
            let action = if executed {
                Action::Executes
            } else {
                Action::Declines
            };
            steps.push((action(owner), next));
        }
        if world.faults > 0 {
            let mut next = *world;
            next.faults -= 1;
            self.turn_away(&mut next, letter);
            steps.push((Action::TurnsAway(owner), next));
        }
    }

    fn turn_away(&self, world: &mut World, letter: Letter) {
        for caller in &mut world.callers {
            if let At::Sent { claim, doubts, .. } = caller.at
                && (claim.owner, doubts) == (letter.owner, letter.attempt)
            {
                caller.at = At::Settling {
                    claim,
                    how: self.sum(doubts, Effect::TurnedAway, None),
                    tried: false,
                };
            }
        }
    }
}

/// Answers whoever still waits for this very attempt.
fn answer(world: &mut World, letter: Letter, outcome: Outcome) {
    for caller in &mut world.callers {
        if let At::Sent {
            claim,
            doubts,
            answer,
            ..
        } = &mut caller.at
            && (claim.owner, *doubts) == (letter.owner, letter.attempt)
        {
            *answer = Some(outcome);
        }
    }
}

/// The gateway's memory a tick later.
pub(super) fn forget(world: &mut World) {
    world.gateway.remembers = match world.gateway.remembers {
        Some((_, 0)) => None,
        Some((key, FOR_EVER)) => Some((key, FOR_EVER)),
        Some((key, left)) => Some((key, left - 1)),
        None => None,
    };
}
