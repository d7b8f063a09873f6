//! What is claimed. Each is checked at every step from every state that can be reached.

use super::steps::{Action, Keys, Said, claim_of};
use super::walk::Place;
use super::world::{At, Claim, Stray, World};
use stateright::Property;
use tollgate_core::store::idempotency::{Phase, Settled};

macro_rules! claims {
    ($($(#[doc = $says:literal])+ $claim:ident,)+) => {
        /// The claims.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Invariant {
            $($(#[doc = $says])+ $claim,)+
        }

        impl Invariant {
            /// All of them.
            pub(crate) const ALL: &[Self] = &[$(Self::$claim,)+];

            /// The claim as `stateright` asks for it.
            pub(crate) fn always(self) -> Property<Keys> {
                match self {
                    $(Self::$claim => Property::always(stringify!($claim), |keys, place: &Place| place.keeps(keys, Self::$claim)),)+
                }
            }
        }
    };
}

claims! {
    /// Money moves at most once under a key.
    AtMostOneEffect,
    /// Nobody is told of a charge that is not there.
    NoFalseYes,
    /// Nobody is told no for good and charged all the same.
    NoFalseNo,
    /// Whoever is told a final answer is told the same one: a replay equals what was stored.
    OneAnswer,
    /// What is stored as an answer is what the gateway booked.
    AnswerIsTrue,
    /// `Completed` never changes until its retention is over, and then leaves a tombstone.
    CompletedStays,
    /// Time, sweeping, collecting and repeats make no key runnable whose effect may have begun: it is armed or unknown
    /// until its owner or evidence says otherwise.
    TimeFreesNothing,
    /// `Armed` and `Unknown` have no expiry.
    OpenHasNoEnd,
    /// An effect that took place is never forgotten, and neither is one that may still.
    NoEffectForgotten,
    /// Epochs rise by one at each acquisition, and an owner is replaced only so.
    EpochRises,
    /// A key keeps its request, also over a release.
    RequestPinned,
    /// Whoever is not let in changes nothing.
    WaiterChangesNothing,
    /// Whoever lost its claim changes nothing.
    StaleTokenChangesNothing,
    /// Whoever sends holds an armed record.
    SenderIsArmed,
    /// If nothing goes wrong any more, every key ends with a final answer, or is listed as open and ends once somebody looks.
    EveryKeyEnds,
}

/// Whether a step keeps a claim.
pub(crate) fn holds(claim: Invariant, keys: &Keys, from: &World, action: Action, to: &World) -> bool {
    match claim {
        Invariant::AtMostOneEffect => to.gateway.effects <= 1,
        Invariant::NoFalseYes => to
            .told
            .first
            .is_none_or(|told| !told.executed || to.gateway.effects > 0),
        Invariant::NoFalseNo => to
            .told
            .first
            .is_none_or(|told| told.executed || to.gateway.effects == 0),
        Invariant::OneAnswer => !to.told.another,
        Invariant::AnswerIsTrue => {
            let stored = to.row.and_then(|row| row.outcome);
            stored.is_none_or(|outcome| to.gateway.booked == Some(outcome))
        }
        Invariant::CompletedStays => completed_stays(from, to),
        Invariant::TimeFreesNothing => {
            !from.row.is_some_and(|row| row.is_open())
                || action.writes_a_proof()
                || to.row.is_some_and(|row| row.is_open() && same_run(from, to))
        }
        Invariant::OpenHasNoEnd => to.row.is_none_or(|row| !row.is_open() || row.expires.is_none()),
        Invariant::NoEffectForgotten => no_effect_forgotten(keys, to),
        Invariant::EpochRises => epoch_rises(from, to),
        Invariant::RequestPinned => request_pinned(from, to),
        Invariant::WaiterChangesNothing => !action.was_turned_away() || unchanged_but_lost(from, to),
        Invariant::StaleTokenChangesNothing => action
            .stale(from)
            .is_none_or(|stale| !stale || from.row == to.row),
        Invariant::SenderIsArmed => sender_is_armed(keys, from, action),
        Invariant::EveryKeyEnds => true, // about a state, not about a step: see `steps/ends.rs`
    }
}

impl Action {
    /// Whether the step is an owner's word, or evidence: only these may end what is open.
    const fn writes_a_proof(self) -> bool {
        matches!(
            self,
            Self::Settle(..) | Self::SettleTwice(..) | Self::Stray | Self::Resolves(_)
        )
    }

    fn was_turned_away(self) -> bool {
        match self {
            Self::Begin(_, said) | Self::BeginTwice(_, said) | Self::BeginAgain(_, said) => {
                said != Said::Acquired
            }
            _ => false,
        }
    }

    /// Whether a step that needs a claim was made with one that does not hold; `None` when it needs none.
    fn stale(self, from: &World) -> Option<bool> {
        let claim = match self {
            Self::Arm(who, _)
            | Self::Renew(who, _)
            | Self::Settle(who, _)
            | Self::SettleTwice(who, _)
            | Self::SettleGivenUp(who)
            | Self::Dies(who) => claim_of(from.callers[who.0].at)?,
            Self::Stray => match from.stray? {
                Stray::Begin { .. } => return None,
                Stray::Arm(claim) | Stray::Settle(claim, _) => claim,
            },
            _ => return None,
        };
        Some(!held(from, claim))
    }
}

fn held(world: &World, claim: Claim) -> bool {
    world.row.is_some_and(|row| row.is_held_by(claim))
}

fn same_run(from: &World, to: &World) -> bool {
    let run = |world: &World| world.row.map(|row| (row.epoch, row.owner));
    run(from) == run(to)
}

fn completed_stays(from: &World, to: &World) -> bool {
    let Some(row) = from.row.filter(|row| row.phase == Phase::Completed) else {
        return true;
    };
    to.row.is_some_and(|next| match next.phase {
        Phase::Completed => next.outcome == row.outcome,
        Phase::Expired => row.expires == Some(0),
        _ => false,
    })
}

/// While requests arrive only within their owner's lease, what arrived or may arrive is always on record. With late ones the
/// gateway's own memory has to do.
fn no_effect_forgotten(keys: &Keys, to: &World) -> bool {
    let on_record = to
        .row
        .is_some_and(|row| row.is_open() || matches!(row.phase, Phase::Completed | Phase::Expired));
    let nobody_asks = to.patience < 0;
    let happened = to.gateway.effects == 0 || on_record || nobody_asks || to.gateway.remembers.is_some();
    let may_happen =
        keys.setting.late
            || to.wire.iter().flatten().all(|letter| {
                nobody_asks || (on_record && to.row.is_some_and(|row| row.epoch == letter.epoch))
            });
    happened && may_happen
}

fn epoch_rises(from: &World, to: &World) -> bool {
    match (from.row, to.row) {
        (Some(from), Some(to)) if from.epoch == to.epoch => from.owner == to.owner,
        (Some(from), Some(to)) => to.epoch == from.epoch + 1,
        (None, Some(to)) => to.epoch == 1,
        (_, None) => true,
    }
}

/// Over the record's life, and for what the gateway is sent.
fn request_pinned(from: &World, to: &World) -> bool {
    let kept = match (from.row, to.row) {
        (Some(from), Some(to)) => from.request == to.request,
        _ => true,
    };
    let sent = to.wire.iter().flatten().all(|letter| {
        to.row.is_none_or(|row| {
            row.epoch != letter.epoch || row.owner != letter.owner || row.request == letter.request
        })
    });
    kept && sent
}

/// A repeat may notice that the owner is lost, and no more.
fn unchanged_but_lost(from: &World, to: &World) -> bool {
    let lost = match (from.row, to.row) {
        (Some(from), Some(to)) => {
            from.phase == Phase::Armed
                && to.phase == Phase::Unknown
                && from.epoch == to.epoch
                && from.lease < 0
        }
        _ => false,
    };
    from.row == to.row || lost
}

fn sender_is_armed(keys: &Keys, from: &World, action: Action) -> bool {
    let Action::Send(who) = action else { return true };
    let At::Armed { claim, .. } = from.callers[who.0].at else {
        return false;
    };
    keys.setting.late
        || from
            .row
            .is_some_and(|row| row.phase == Phase::Armed && row.is_held_by(claim))
}

/// Whether a settlement changed the record.
pub(crate) fn applied(action: Action) -> bool {
    matches!(
        action,
        Action::Settle(_, Settled::Applied) | Action::SettleTwice(_, Settled::Applied)
    )
}
