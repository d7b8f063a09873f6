//! A caller under the layer: from begin to settlement, as `run.rs` of the layer goes.

use super::{Action, Keys, Said, Steps, Who};
use crate::world::{At, Claim, Ending, LEASE, Letter, Outcome, Row, Stray, World};
use tollgate_core::store::idempotency::{Doubt, Held, Phase};
use tollgate_core::{Effect, EffectLedger};

/// A world that comes next: a copy with one thing changed.
fn after(world: &World, change: impl FnOnce(&mut World)) -> World {
    let mut next = *world;
    change(&mut next);
    next
}

/// As [`after`], at the price of a fault.
fn fault(world: &World, change: impl FnOnce(&mut World)) -> World {
    after(world, |next| {
        next.faults -= 1;
        change(next);
    })
}

/// What is written for a sum of attempts.
fn ending(total: Effect, answer: Option<Outcome>) -> Ending {
    match (total, answer) {
        (Effect::Executed | Effect::Declined, Some(outcome)) => Ending::Completed(outcome),
        (Effect::NotSent | Effect::TurnedAway, _) => Ending::Released,
        _ => Ending::Unknown(Doubt::AnswerInDoubt),
    }
}

impl Keys {
    pub(super) fn caller_steps(&self, world: &World, who: Who, steps: &mut Steps) {
        let caller = world.callers[who.0];
        match caller.at {
            At::Rest => self.try_again(world, who, steps),
            At::BeginLost { lease } => self.begin_was_lost(world, who, lease, steps),
            At::GivingBack => give_back(world, who, steps),
            At::Prepared { claim, .. } => self.prepared(world, who, claim, steps),
            At::Armed { claim, lease, doubts } => self.armed(world, who, (claim, lease, doubts), steps),
            At::Sent {
                claim,
                doubts,
                answer,
                ..
            } => self.sent(world, who, (claim, doubts, answer), steps),
            At::Settling { claim, how, tried } => self.settling(world, who, (claim, how, tried), steps),
        }
        self.renewing(world, who, steps);
        self.dying(world, who, steps);
    }

    fn try_again(&self, world: &World, who: Who, steps: &mut Steps) {
        if world.callers[who.0].tries == 0 || world.patience < 0 {
            return;
        }
        let begun = after(world, |next| {
            let caller = &mut next.callers[who.0];
            caller.tries -= 1;
            caller.owner += 1;
        });
        let caller = begun.callers[who.0];
        let stray = Stray::Begin {
            owner: caller.owner,
            request: caller.request,
        };
        let mut next = begun;
        let (said, at) = self.begin(&mut next, caller.owner, caller.request, LEASE);
        next.callers[who.0].at = at;
        steps.push((Action::Begin(who, said), next));
        if begun.faults > 0 {
            let twice = fault(&next, |next| next.stray = Some(stray));
            steps.push((Action::BeginTwice(who, said), twice));
            let lost = fault(&begun, |next| {
                next.stray = Some(stray);
                next.callers[who.0].at = At::BeginLost { lease: LEASE };
            });
            steps.push((Action::BeginLost(who), lost));
        }
    }

    /// The answer to a begin did not come. A repeat of it is recognised, and does not lengthen the lease.
    fn begin_was_lost(&self, world: &World, who: Who, lease: i8, steps: &mut Steps) {
        let caller = world.callers[who.0];
        if world.patience >= 0 {
            let mut next = *world;
            let (said, at) = self.begin(&mut next, caller.owner, caller.request, lease);
            // a doubt may be about its own begin, which has lapsed meanwhile
            next.callers[who.0].at = match said {
                Said::Unknown => At::GivingBack,
                _ => at,
            };
            steps.push((Action::BeginAgain(who, said), next));
        }
        let given_up = after(world, |next| {
            next.callers[who.0].at = if self.policy.sends_without_a_claim() {
                let claim = Claim {
                    epoch: 0,
                    owner: caller.owner,
                };
                At::Armed {
                    claim,
                    lease: LEASE,
                    doubts: 0,
                }
            } else {
                At::GivingBack
            };
        });
        steps.push((Action::BeginGivenUp(who), given_up));
    }

    fn prepared(&self, world: &World, who: Who, claim: Claim, steps: &mut Steps) {
        let armed = At::Armed {
            claim,
            lease: LEASE,
            doubts: 0,
        };
        let mut next = *world;
        let held = self.arm(&mut next, claim);
        next.callers[who.0].at = match held {
            Held::Held => armed,
            Held::Fenced => At::Rest,
        };
        steps.push((Action::Arm(who, held), next));
        if world.faults > 0 {
            let never_ready = fault(world, |next| {
                next.callers[who.0].at = settle(claim, Ending::Released)
            });
            steps.push((Action::NeverReady(who), never_ready));
            // any doubt about the arm means: do not send
            let lost = fault(world, |next| {
                next.stray = Some(Stray::Arm(claim));
                next.callers[who.0].at = if self.policy.sends_without_an_arm() {
                    armed
                } else {
                    settle(claim, Ending::Released)
                };
            });
            steps.push((Action::ArmLost(who), lost));
        }
    }

    fn armed(&self, world: &World, who: Who, (claim, lease, doubts): (Claim, i8, u8), steps: &mut Steps) {
        let may_send = self.setting.late || lease >= 0;
        if may_send && world.has_room_on_the_wire() {
            let sent = after(world, |next| {
                next.send(Letter {
                    owner: claim.owner,
                    epoch: claim.epoch,
                    attempt: doubts,
                    request: world.callers[who.0].request,
                    key: self.policy.downstream_key(claim.owner, doubts),
                    lives: self.setting.life(lease),
                });
                next.callers[who.0].at = At::Sent {
                    claim,
                    lease,
                    doubts,
                    answer: None,
                };
            });
            steps.push((Action::Send(who), sent));
        }
        let ended = settle(claim, self.sum(doubts, Effect::NotSent, None));
        if !may_send {
            let too_late = after(world, |next| next.callers[who.0].at = ended);
            steps.push((Action::NotSent(who), too_late));
        } else if world.faults > 0 {
            let not_sent = fault(world, |next| next.callers[who.0].at = ended);
            steps.push((Action::NotSent(who), not_sent));
        }
        self.panicking(world, who, claim, steps);
    }

    /// What all attempts come to, given the last one and its answer.
    pub(super) fn sum(&self, doubts: u8, last: Effect, answer: Option<Outcome>) -> Ending {
        let ledger = EffectLedger::default();
        if self.setting.recognises.is_some() {
            ledger.mark_key_taken();
        }
        for _ in 0..doubts {
            ledger.record(Effect::Unknown);
        }
        ending(self.policy.total(&ledger, last), answer)
    }

    fn sent(
        &self,
        world: &World,
        who: Who,
        (claim, doubts, answer): (Claim, u8, Option<Outcome>),
        steps: &mut Steps,
    ) {
        if let Some(outcome) = answer {
            let heard = after(world, |next| {
                let effect = outcome.completion().effect();
                next.callers[who.0].at = settle(claim, self.sum(doubts, effect, Some(outcome)));
            });
            steps.push((Action::Hears(who), heard));
        }
        if world.faults > 0 {
            let timed_out = fault(world, |next| {
                let made = doubts + 1;
                next.callers[who.0].at = if self.policy.repeats(made, self.setting.recognises.is_some()) {
                    let lease = lease_of(world.callers[who.0].at);
                    At::Armed {
                        claim,
                        lease,
                        doubts: made,
                    }
                } else {
                    settle(claim, self.sum(doubts, Effect::Unknown, None))
                };
            });
            steps.push((Action::TimesOut(who), timed_out));
        }
        self.panicking(world, who, claim, steps);
    }

    fn panicking(&self, world: &World, who: Who, claim: Claim, steps: &mut Steps) {
        if world.faults > 0 {
            let panicked = fault(world, |next| {
                next.callers[who.0].at = settle(claim, Ending::Unknown(Doubt::Panicked));
            });
            steps.push((Action::Panics(who), panicked));
        }
    }

    /// The answer leaves after it is written, or when writing it is given up for now.
    fn settling(
        &self,
        world: &World,
        who: Who,
        (claim, how, tried): (Claim, Ending, bool),
        steps: &mut Steps,
    ) {
        let leave = |next: &mut World| {
            if let Ending::Completed(outcome) = how {
                next.tell(outcome);
            }
            next.callers[who.0].at = At::Rest;
        };
        let mut next = *world;
        let settled = self.settle(&mut next, claim, how);
        leave(&mut next);
        steps.push((Action::Settle(who, settled), next));
        let stray = Some(Stray::Settle(claim, how));
        if world.faults > 0 {
            let twice = fault(&next, |next| next.stray = stray);
            steps.push((Action::SettleTwice(who, settled), twice));
            let lost = fault(world, |next| {
                next.stray = stray;
                next.callers[who.0].at = At::Settling {
                    claim,
                    how,
                    tried: true,
                };
            });
            steps.push((Action::SettleLost(who), lost));
        }
        if tried {
            let given_up = after(world, |next| {
                if self.policy.removes_what_it_cannot_settle() {
                    self.remove_if_held(next, claim);
                }
                leave(next);
            });
            steps.push((Action::SettleGivenUp(who), given_up));
        }
    }

    fn renewing(&self, world: &World, who: Who, steps: &mut Steps) {
        let mut next = *world;
        let (claim, lease) = match &mut next.callers[who.0].at {
            At::Prepared { claim, lease }
            | At::Armed { claim, lease, .. }
            | At::Sent { claim, lease, .. } => (*claim, lease),
            _ => return,
        };
        let before = *lease;
        if !self.setting.renews {
            return;
        }
        *lease = LEASE;
        let held = self.renew(&mut next, claim);
        if held == Held::Held && before < LEASE {
            steps.push((Action::Renew(who, held), next));
        }
    }

    fn dying(&self, world: &World, who: Who, steps: &mut Steps) {
        let caller = world.callers[who.0];
        // an attempt that no other follows may as well be frozen for ever
        if caller.at == At::Rest || world.faults == 0 {
            return;
        }
        let died = fault(world, |next| {
            if let (true, Some(claim)) = (self.policy.drop_frees(), claim_of(caller.at)) {
                self.remove_if_held(next, claim);
            }
            next.callers[who.0].at = At::Rest;
        });
        steps.push((Action::Dies(who), died));
    }
}

/// What it finds under its own name it releases, as `give_back.rs` of the layer does. It looks once: what the begin does later is a stray's.
fn give_back(world: &World, who: Who, steps: &mut Steps) {
    let looked = after(world, |next| {
        let caller = &mut next.callers[who.0];
        let open = |row: &&Row| row.is_open() || row.phase == Phase::Prepared;
        let mine = world
            .row
            .as_ref()
            .filter(|row| row.owner == caller.owner)
            .filter(open);
        caller.at = match mine {
            Some(row) => settle(
                Claim {
                    epoch: row.epoch,
                    owner: row.owner,
                },
                Ending::Released,
            ),
            None => At::Rest,
        };
    });
    steps.push((Action::LooksForItsClaim(who), looked));
}

const fn settle(claim: Claim, how: Ending) -> At {
    At::Settling {
        claim,
        how,
        tried: false,
    }
}

pub(crate) const fn claim_of(at: At) -> Option<Claim> {
    match at {
        At::Rest | At::BeginLost { .. } | At::GivingBack => None,
        At::Prepared { claim, .. }
        | At::Armed { claim, .. }
        | At::Sent { claim, .. }
        | At::Settling { claim, .. } => Some(claim),
    }
}

const fn lease_of(at: At) -> i8 {
    match at {
        At::Prepared { lease, .. } | At::Armed { lease, .. } | At::Sent { lease, .. } => lease,
        At::Rest | At::BeginLost { .. } | At::GivingBack | At::Settling { .. } => 0,
    }
}
