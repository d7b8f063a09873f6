//! What an idempotency store must keep: one key, at most one effect.
//!
//! The properties follow the life of a record: [`claims`] (begin, arm, renew: who may act), [`endings`] (settle, replay, resolve: what
//! is known), [`upkeep`] (sweep, list, collect: what time does), [`caps`] (how many doubts one tenant may have), [`form`] (what is
//! kept, to the last byte and microsecond), [`races`].

pub mod caps;
pub mod claims;
pub mod endings;
pub mod form;
pub mod races;
pub mod upkeep;

pub use caps::*;
pub use claims::*;
pub use endings::*;
pub use form::*;
pub use races::*;
pub use upkeep::*;

pub(crate) use crate::samples::{completion as answer, key};

use crate::conformance::Subject;
use crate::samples;
use std::time::Duration;
use tollgate_core::store::idempotency::{
    Begin, Doubt, Fingerprint, Held, IdempotencyStore, Owner, Phase, Record, Resolution, Resolve, Settled,
    Settlement, Token,
};

properties! {
    /// Makes a module of tests out of every property of [`conformance::idempotency`](crate::conformance::idempotency): give the
    /// module's name and an expression that makes a [`Subject`](crate::conformance::Subject) with an empty store.
    idempotency_conformance, each_idempotency_property, idempotency:
    an_absent_key_is_claimed,
    begin_can_arm_in_the_same_step,
    the_fingerprint_is_compared_first,
    a_lost_begin_is_recognised,
    a_repeated_begin_arms_when_it_says_so,
    a_live_claim_cannot_be_taken_over,
    a_lapsed_claim_is_taken_over_and_its_owner_fenced,
    an_armed_key_never_runs_again_by_time_alone,
    arming_starts_the_lease_anew,
    arming_needs_a_live_lease,
    a_lost_arm_is_recognised,
    a_stale_token_changes_nothing,
    a_renewal_extends_the_lease,
    an_armed_owner_may_renew_late,
    waiters_change_nothing,
    times_are_kept_to_the_microsecond,
    every_byte_of_a_name_counts,
    keys_do_not_touch_each_other,
    an_answer_is_replayed_byte_for_byte,
    a_completed_record_never_changes,
    a_settlement_can_be_repeated,
    a_released_key_runs_again_for_the_same_request_only,
    an_unknown_outcome_blocks_the_key,
    the_owner_may_settle_its_own_doubt,
    only_a_lost_owner_may_still_prove_absence,
    evidence_ends_a_doubt_and_is_kept,
    absence_needs_a_lapsed_lease,
    the_owners_proof_beats_a_wrong_absence,
    absence_needs_a_look_after_the_lease,
    evidence_of_another_epoch_is_stale,
    what_is_settled_needs_no_evidence,
    settling_what_is_absent_says_so,
    the_sweep_marks_lost_owners_and_nobody_else,
    open_outcomes_are_listed_in_pages,
    an_answer_is_kept_for_its_retention,
    collecting_leaves_a_tombstone,
    collecting_leaves_a_request_pinned,
    collecting_never_touches_open_outcomes,
    a_crowded_tenant_gets_no_new_key,
    a_crowd_stops_acquisitions_only,
    a_doubt_counts_while_it_stands,
    a_doubt_counts_for_its_last_owner,
    one_of_many_begins_wins,
    an_owner_and_its_successor_never_both_arm,
    a_claim_that_lapses_while_it_arms_goes_to_one,
    an_owner_and_evidence_never_both_end_a_doubt,
    one_effect_under_contention,
}

/// An ordinary begin: prepared, not armed; the request is number 1.
pub(crate) fn begin<S>(subject: &Subject<S>, number: u8, owner: u128) -> Begin
where
    S: Send + Sync + 'static,
{
    Begin {
        lease: subject.unit(),
        retention: subject.unit() * 10,
        arm: false,
        ..samples::begin(key(number), owner)
    }
}

/// The same key for another request.
pub(crate) fn other_request(begin: Begin) -> Begin {
    Begin {
        fingerprint: Fingerprint::new([2; 32]),
        owner: Owner(0xff),
        ..begin
    }
}

/// Begins, and expects the claim.
pub(crate) async fn acquire<S: IdempotencyStore>(subject: &Subject<S>, begin: Begin) -> Token {
    samples::claim(subject.store(), begin).await
}

/// Begins and arms.
pub(crate) async fn armed<S: IdempotencyStore>(subject: &Subject<S>, number: u8, owner: u128) -> Token {
    let token = acquire(subject, begin(subject, number, owner)).await;
    assert_eq!(
        ask!(subject.store().arm(token, subject.unit())),
        Held::Held,
        "the owner arms its fresh claim"
    );
    token
}

/// Brings a fresh key into a phase. `Expired` is not among them.
pub(crate) async fn reach<S: IdempotencyStore>(
    subject: &Subject<S>,
    number: u8,
    owner: u128,
    phase: Phase,
) -> Token {
    if phase == Phase::Prepared {
        return acquire(subject, begin(subject, number, owner)).await;
    }
    let token = armed(subject, number, owner).await;
    let settlement = match phase {
        Phase::Completed => Settlement::Completed(answer(b"done")),
        Phase::Released => Settlement::Released,
        Phase::Unknown => Settlement::Unknown(Doubt::AnswerInDoubt),
        _ => return token,
    };
    settle(subject, token, &settlement, Settled::Applied).await;
    token
}

/// Settles, and expects this.
pub(crate) async fn settle<S: IdempotencyStore>(
    subject: &Subject<S>,
    token: Token,
    settlement: &Settlement,
    expected: Settled,
) {
    let settled = ask!(subject.store().settle(token, settlement));
    assert_eq!(settled, expected, "settling as {settlement:?}");
}

/// The record, which must be there.
pub(crate) async fn record<S: IdempotencyStore>(subject: &Subject<S>, number: u8) -> Record {
    match ask!(subject.store().get(key(number))) {
        Some(record) => record,
        None => panic!("record {number} is gone"),
    }
}

/// Evidence for a resolution, from a look that begins now.
pub(crate) async fn resolution<S: IdempotencyStore>(
    subject: &Subject<S>,
    token: Token,
    resolution: Resolution,
) -> Resolve {
    samples::resolve(token, ask!(subject.store().now()), resolution)
}

/// A little time, in which nothing lapses.
pub(crate) const A_MOMENT: Duration = Duration::from_micros(1);
