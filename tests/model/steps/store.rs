//! The store: each operation loads the record, asks the rule, and writes the change, as every store of ours does.

use super::{Keys, Said};
use crate::policy::Policy;
use crate::setting::Setting;
use crate::world::{
    At, Claim, Ending, LEASE, Look, Outcome, RETENTION, Row, Stray, TOMBSTONE, World, evidence, key, moment,
    ticks,
};
use tollgate::idempotency::ArmPolicy;
use tollgate_core::store::idempotency::rule::Change;
use tollgate_core::store::idempotency::{
    Begin, Begun, Fingerprint, Held, Owner, Resolution, Resolve, Resolved, Settled, Settlement, Tenant,
};

impl World {
    fn apply(&mut self, change: Change) {
        let before = self.row;
        match change {
            Change::Keep => return,
            Change::Put(record) => self.row = Some(Row::of(&record)),
            Change::Remove => self.row = None,
        }
        if let Some(replica) = &mut self.replica {
            *replica = before;
        }
    }
}

fn begin_of(setting: &Setting, owner: u8, request: u8) -> Begin {
    Begin {
        key: key(),
        fingerprint: Fingerprint::new([request; 32]),
        owner: Owner(owner.into()),
        lease: ticks(LEASE),
        retention: ticks(RETENTION),
        arm: setting.arm == ArmPolicy::AtBegin,
        tenant: Tenant::NONE,
        most_open: u32::MAX,
    }
}

fn settlement_of(policy: &dyn Policy, how: Ending) -> Settlement {
    match how {
        Ending::Completed(outcome) => Settlement::Completed(outcome.completion()),
        Ending::Released => Settlement::Released,
        Ending::Unknown(doubt) => policy.in_doubt(doubt),
    }
}

impl Keys {
    /// A begin, and where its caller stands after it, which counts on so much of a lease.
    pub(super) fn begin(&self, world: &mut World, owner: u8, request: u8, lease: i8) -> (Said, At) {
        let begin = begin_of(&self.setting, owner, request);
        let (change, begun) = self.policy.begin(world.record().as_ref(), &begin);
        world.apply(change);
        match begun {
            Begun::Acquired(token) => {
                let claim = Claim::of(&token);
                let at = match self.setting.arm {
                    ArmPolicy::AtBegin => At::Armed {
                        claim,
                        lease,
                        doubts: 0,
                    },
                    ArmPolicy::BeforeCall => At::Prepared { claim, lease },
                    ArmPolicy::InTransaction => {
                        unreachable!(
                            "no peer is called: the effect and the answer are one commit of the store"
                        )
                    }
                };
                (Said::Acquired, at)
            }
            Begun::Replay(completion) => {
                world.tell(Outcome::of(&completion));
                (Said::Replay, At::Rest)
            }
            Begun::InFlight { .. } => {
                if self.policy.waiter_deletes() {
                    world.apply(Change::Remove);
                }
                (Said::InFlight, At::Rest)
            }
            Begun::Mismatch => (Said::Mismatch, At::Rest),
            Begun::Unknown { .. } => (Said::Unknown, At::Rest),
            Begun::Expired => (Said::Expired, At::Rest),
            Begun::TooManyOpen => {
                unreachable!("nobody sets a cap: a refusal before anything is claimed leads nowhere")
            }
        }
    }

    pub(super) fn arm(&self, world: &mut World, claim: Claim) -> Held {
        let (change, held) = self
            .policy
            .arm(world.record().as_ref(), &claim.token(), ticks(LEASE));
        world.apply(change);
        held
    }

    pub(super) fn renew(&self, world: &mut World, claim: Claim) -> Held {
        let (change, held) = self
            .policy
            .renew(world.record().as_ref(), &claim.token(), ticks(LEASE));
        world.apply(change);
        held
    }

    pub(super) fn settle(&self, world: &mut World, claim: Claim, how: Ending) -> Settled {
        let settlement = settlement_of(self.policy, how);
        let (change, settled) = self
            .policy
            .settle(world.record().as_ref(), &claim.token(), &settlement);
        world.apply(change);
        settled
    }

    /// Removes the record of a holder, for controls.
    pub(super) fn remove_if_held(&self, world: &mut World, claim: Claim) {
        if world.row.is_some_and(|row| row.is_held_by(claim)) {
            world.apply(Change::Remove);
        }
    }

    pub(super) fn stray(&self, world: &mut World, stray: Stray) {
        match stray {
            Stray::Begin { owner, request } => {
                self.begin(world, owner, request, LEASE);
            }
            Stray::Arm(claim) => {
                self.arm(world, claim);
            }
            Stray::Settle(claim, how) => {
                self.settle(world, claim, how);
            }
        }
    }

    pub(super) fn resolve(&self, world: &mut World, look: Look) -> Resolved {
        let resolve = Resolve {
            key: key(),
            epoch: look.epoch.into(),
            as_of: moment(-look.age),
            resolution: match look.found {
                Some(outcome) => Resolution::Completed(outcome.completion()),
                None => Resolution::Released,
            },
            evidence: evidence(),
        };
        let (change, resolved) = self.policy.resolve(world.record().as_ref(), &resolve);
        world.apply(change);
        resolved
    }

    pub(super) fn sweep(&self, world: &mut World) {
        if let Some(record) = world.record() {
            world.apply(self.policy.sweep(&record));
        }
    }

    pub(super) fn collect(&self, world: &mut World) {
        if let Some(record) = world.record() {
            world.apply(self.policy.collect(&record, ticks(TOMBSTONE)));
        }
    }

    pub(super) fn expire(&self, world: &mut World) {
        if let Some(record) = world.record() {
            world.apply(self.policy.expire(&record));
        }
    }
}
