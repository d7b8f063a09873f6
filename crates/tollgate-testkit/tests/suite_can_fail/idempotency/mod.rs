//! Idempotency stores in the state they are found in.

mod store;

use crate::{Pause, Shelf};
use std::sync::Arc;
use store::Flawed;
use tollgate_core::Clock;
use tollgate_testkit::conformance::idempotency as suite;
use tollgate_testkit::histories::{Histories, Plain};
use tollgate_testkit::linear::{Ticking, Unexplained, explain, overlaps, together};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Flaw {
    None,
    StartsAtEpochZero,
    IgnoresArmInBegin,
    ForgetsToArmAgain,
    ComparesTheRequestLate,
    ForgetsItsOwner,
    StealsLive,
    StealsArmed,
    StealsArmedForItsOwner,
    ForgetsArmedWithTheAnswers,
    ClearsOnTimeout,
    ReleaseForgetsTheRequest,
    TombstoneForgetsTheRequest,
    WaiterDeletes,
    ArmsLate,
    ArmsOnce,
    ArmsOnTheOldLease,
    RenewsNothing,
    RenewsForLongerOnly,
    FencesLateRenewals,
    ForgetsTheFence,
    ForgetsTheHead,
    OverwritesAnswers,
    SettlesOnce,
    DoubtIsFinal,
    LastErrorWins,
    MakesRecordsUp,
    ForgetsEvidence,
    BelievesInAbsenceEarly,
    BelievesInAbsenceForEver,
    DoubtsItsOwnRelease,
    BelievesInAnOldLook,
    TakesStaleEvidence,
    EvidenceBeatsAnything,
    SweepsTheLiving,
    SweepsWithoutLimit,
    ListsInNoOrder,
    ListsByAge,
    ForgetsAnswersEarly,
    LeavesNoTombstone,
    ExpiresArmed,
    CollectsReleased,
    CollectsLapsed,
    CollectsClaims,
    IgnoresTheCap,
    CountsEverybody,
    CountsClaims,
    CapsNewKeysOnly,
    CapsRepeats,
    ForgetsTheAccount,
    KeepsTheFirstAccount,
    OneKey,
    CutsKeysShort,
    CutsRequestsShort,
    CutsOwnersShort,
    CountsInMilliseconds,
    KeepsAnswersForWholeSeconds,
    TrimsAnswers,
    Torn,
}

const FLAWS: &[(Flaw, &[&str])] = &[
    (Flaw::StartsAtEpochZero, &["an_absent_key_is_claimed"]),
    (Flaw::IgnoresArmInBegin, &["begin_can_arm_in_the_same_step"]),
    (
        Flaw::ForgetsToArmAgain,
        &["a_repeated_begin_arms_when_it_says_so"],
    ),
    (
        Flaw::ComparesTheRequestLate,
        &["the_fingerprint_is_compared_first"],
    ),
    (Flaw::ForgetsItsOwner, &["a_lost_begin_is_recognised"]),
    (
        Flaw::StealsLive,
        &["a_live_claim_cannot_be_taken_over", "waiters_change_nothing"],
    ),
    (
        Flaw::StealsArmed,
        &[
            "an_armed_key_never_runs_again_by_time_alone",
            "begin_can_arm_in_the_same_step",
        ],
    ),
    (
        Flaw::StealsArmedForItsOwner,
        &["an_armed_key_never_runs_again_by_time_alone"],
    ),
    (
        Flaw::ForgetsArmedWithTheAnswers,
        &["an_armed_key_never_runs_again_by_time_alone"],
    ),
    (
        Flaw::ClearsOnTimeout,
        &[
            "an_unknown_outcome_blocks_the_key",
            "absence_needs_a_lapsed_lease",
        ],
    ),
    (
        Flaw::ReleaseForgetsTheRequest,
        &[
            "a_released_key_runs_again_for_the_same_request_only",
            "the_fingerprint_is_compared_first",
        ],
    ),
    (
        Flaw::TombstoneForgetsTheRequest,
        &["the_fingerprint_is_compared_first"],
    ),
    (
        Flaw::WaiterDeletes,
        &[
            "waiters_change_nothing",
            "one_of_many_begins_wins",
            "one_effect_under_contention",
        ],
    ),
    (Flaw::ArmsLate, &["arming_needs_a_live_lease"]),
    (Flaw::ArmsOnce, &["a_lost_arm_is_recognised"]),
    (Flaw::ArmsOnTheOldLease, &["arming_starts_the_lease_anew"]),
    (Flaw::RenewsNothing, &["a_renewal_extends_the_lease"]),
    (Flaw::RenewsForLongerOnly, &["a_renewal_extends_the_lease"]),
    (Flaw::FencesLateRenewals, &["an_armed_owner_may_renew_late"]),
    (
        Flaw::ForgetsTheFence,
        &[
            "a_stale_token_changes_nothing",
            "a_lapsed_claim_is_taken_over_and_its_owner_fenced",
            "an_owner_and_its_successor_never_both_arm",
        ],
    ),
    (Flaw::ForgetsTheHead, &["an_answer_is_replayed_byte_for_byte"]),
    (Flaw::OverwritesAnswers, &["a_completed_record_never_changes"]),
    (Flaw::SettlesOnce, &["a_settlement_can_be_repeated"]),
    (Flaw::DoubtIsFinal, &["the_owner_may_settle_its_own_doubt"]),
    (
        Flaw::LastErrorWins,
        &["only_a_lost_owner_may_still_prove_absence"],
    ),
    (Flaw::MakesRecordsUp, &["settling_what_is_absent_says_so"]),
    (Flaw::ForgetsEvidence, &["evidence_ends_a_doubt_and_is_kept"]),
    (
        Flaw::BelievesInAbsenceEarly,
        &[
            "absence_needs_a_lapsed_lease",
            "absence_needs_a_look_after_the_lease",
        ],
    ),
    (
        Flaw::BelievesInAbsenceForEver,
        &["the_owners_proof_beats_a_wrong_absence"],
    ),
    (
        Flaw::DoubtsItsOwnRelease,
        &["the_owners_proof_beats_a_wrong_absence"],
    ),
    (
        Flaw::BelievesInAnOldLook,
        &["absence_needs_a_look_after_the_lease"],
    ),
    (Flaw::TakesStaleEvidence, &["evidence_of_another_epoch_is_stale"]),
    (
        Flaw::EvidenceBeatsAnything,
        &[
            "what_is_settled_needs_no_evidence",
            "a_completed_record_never_changes",
        ],
    ),
    (
        Flaw::SweepsTheLiving,
        &["the_sweep_marks_lost_owners_and_nobody_else"],
    ),
    (
        Flaw::SweepsWithoutLimit,
        &["the_sweep_marks_lost_owners_and_nobody_else"],
    ),
    (Flaw::ListsInNoOrder, &["open_outcomes_are_listed_in_pages"]),
    (Flaw::ListsByAge, &["open_outcomes_are_listed_in_pages"]),
    (
        Flaw::ForgetsAnswersEarly,
        &["an_answer_is_kept_for_its_retention"],
    ),
    (Flaw::LeavesNoTombstone, &["collecting_leaves_a_tombstone"]),
    (
        Flaw::ExpiresArmed,
        &[
            "collecting_never_touches_open_outcomes",
            "an_armed_key_never_runs_again_by_time_alone",
        ],
    ),
    (Flaw::CollectsReleased, &["collecting_leaves_a_request_pinned"]),
    (Flaw::CollectsLapsed, &["collecting_leaves_a_request_pinned"]),
    (Flaw::CollectsClaims, &["collecting_leaves_a_request_pinned"]),
    (
        Flaw::IgnoresTheCap,
        &[
            "a_crowded_tenant_gets_no_new_key",
            "a_crowd_stops_acquisitions_only",
            "a_doubt_counts_while_it_stands",
        ],
    ),
    (Flaw::CountsEverybody, &["a_crowded_tenant_gets_no_new_key"]),
    (
        Flaw::CountsClaims,
        &[
            "a_crowded_tenant_gets_no_new_key",
            "a_doubt_counts_while_it_stands",
        ],
    ),
    (Flaw::CapsNewKeysOnly, &["a_crowd_stops_acquisitions_only"]),
    (Flaw::CapsRepeats, &["a_crowd_stops_acquisitions_only"]),
    (Flaw::ForgetsTheAccount, &["a_doubt_counts_while_it_stands"]),
    (Flaw::KeepsTheFirstAccount, &["a_doubt_counts_for_its_last_owner"]),
    (Flaw::OneKey, &["keys_do_not_touch_each_other"]),
    (Flaw::CutsKeysShort, &["every_byte_of_a_name_counts"]),
    (Flaw::CutsRequestsShort, &["every_byte_of_a_name_counts"]),
    (Flaw::CutsOwnersShort, &["every_byte_of_a_name_counts"]),
    (Flaw::CountsInMilliseconds, &["times_are_kept_to_the_microsecond"]),
    (
        Flaw::KeepsAnswersForWholeSeconds,
        &["times_are_kept_to_the_microsecond"],
    ),
    (Flaw::TrimsAnswers, &["an_answer_is_replayed_byte_for_byte"]),
    (
        Flaw::Torn,
        &[
            "one_of_many_begins_wins",
            "a_claim_that_lapses_while_it_arms_goes_to_one",
            "an_owner_and_evidence_never_both_end_a_doubt",
            "one_effect_under_contention",
        ],
    ),
];

/// The histories are of one client, with few records, and no answer in them has space around it.
const UNSEEN: &[Flaw] = &[Flaw::Torn, Flaw::SweepsWithoutLimit, Flaw::TrimsAnswers];

fn walk(histories: &Histories, flaw: Flaw) {
    histories.idempotency(async |clock| Plain(store(flaw, clock)));
}

tollgate_testkit::each_idempotency_property!(proves_itself);

fn store(flaw: Flaw, clock: impl Clock) -> Flawed {
    let pause = if flaw == Flaw::Torn {
        Pause::Within
    } else {
        Pause::Never
    };
    Flawed {
        flaw,
        shelf: Shelf::new(clock, pause),
    }
}

/// What six clients of a store with this flaw are told, on one thread, where they take turns at each await.
#[tokio::main(flavor = "current_thread")]
async fn six_clients(seed: u64, flaw: Flaw) -> Result<(), Unexplained> {
    let mut store = store(flaw, Ticking::new());
    if flaw != Flaw::Torn {
        store.shelf.pause = Pause::OnTheWay;
    }
    let store = Arc::new(store);
    let told = together(seed, 40, vec![store; 6]).await;
    assert!(overlaps(&told) > 100, "hardly anything overlaps");
    explain(&told)
}

#[test]
fn what_clients_of_a_sound_store_are_told_is_explained() {
    for seed in 0..20 {
        assert_eq!(six_clients(seed, Flaw::None), Ok(()), "seed {seed}");
    }
}

/// Among them the one that no single client can see.
#[test]
fn what_clients_of_a_broken_store_are_told_is_not() {
    for flaw in [
        Flaw::Torn,
        Flaw::StealsLive,
        Flaw::StealsArmed,
        Flaw::ForgetsTheFence,
        Flaw::OverwritesAnswers,
        Flaw::BelievesInAnOldLook,
    ] {
        let found = (0..20).any(|seed| six_clients(seed, flaw).is_err());
        assert!(found, "{flaw:?}");
    }
}
