//! Time, the sweeper, the collector, whoever looks into doubts, and writes that come late.

use super::gateway::forget;
use super::{Action, Keys, Steps};
use crate::world::{At, Look, RETENTION, Stray, World};
use tollgate_core::store::idempotency::rule;

impl Keys {
    pub(super) fn upkeep_steps(&self, world: &World, steps: &mut Steps) {
        steps.push((Action::Tick, self.tick(world)));
        let mut swept = *world;
        self.sweep(&mut swept);
        let mut collected = *world;
        self.collect(&mut collected);
        for (action, next) in [(Action::Sweep, swept), (Action::Collect, collected)] {
            if next != *world {
                steps.push((action, next));
            }
        }
        // who begins after the key was forgotten begins anew: no begin is on its way for longer than callers go on trying
        let too_late = |stray: &Stray| matches!(stray, Stray::Begin { .. }) && world.patience < 0;
        if let Some(stray) = world.stray.filter(|stray| !too_late(stray)) {
            let mut next = *world;
            next.stray = None;
            self.stray(&mut next, stray);
            steps.push((Action::Stray, next));
        }
        self.looking(world, steps);
        if let Some(replica) = world.replica
            && replica != world.row
            && world.faults > 0
        {
            let mut next = *world;
            next.faults -= 1;
            next.row = replica;
            steps.push((Action::FailsOver, next));
        }
    }

    fn looking(&self, world: &World, steps: &mut Steps) {
        let open = world
            .record()
            .filter(|record| rule::is_unresolved(record, crate::world::NOW));
        if let Some(record) = open {
            let booked = world.gateway.booked;
            let missed = (self.setting.looks_lag && booked.is_some()).then_some(None);
            for found in [Some(booked), missed].into_iter().flatten() {
                let mut next = *world;
                next.look = Some(Look {
                    epoch: record.epoch.try_into().unwrap(),
                    found,
                    age: 0,
                });
                let finds = found.is_some();
                steps.push((Action::Looks { finds }, next));
            }
        }
        if let Some(look) = world.look {
            let mut next = *world;
            next.look = None;
            let resolved = self.resolve(&mut next, look);
            steps.push((Action::Resolves(resolved), next));
        }
    }

    /// Everything that has a time grows older by a tick.
    pub(crate) fn tick(&self, world: &World) -> World {
        let mut next = *world;
        next.patience = (next.patience - 1).max(-1);
        if let Some(row) = &mut next.row {
            row.age();
        }
        if let Some(Some(row)) = &mut next.replica {
            row.age();
        }
        for caller in &mut next.callers {
            if let At::BeginLost { lease }
            | At::Prepared { lease, .. }
            | At::Armed { lease, .. }
            | At::Sent { lease, .. } = &mut caller.at
            {
                *lease = (*lease - 1).max(-1);
            }
        }
        if !self.setting.late {
            for place in &mut next.wire {
                *place = place.map(|mut letter| {
                    letter.lives -= 1;
                    letter
                });
                place.take_if(|letter| letter.lives < 0);
            }
            next.wire.sort_unstable();
        }
        if let Some(look) = &mut next.look {
            look.age += 1;
        }
        // as far back as leases are remembered exactly
        next.look.take_if(|look| look.age > RETENTION);
        forget(&mut next);
        self.expire(&mut next);
        next
    }
}
