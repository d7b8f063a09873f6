//! Who may act on a key.

use super::{A_MOMENT, acquire, answer, armed, begin, key, other_request, reach, record, settle};
use crate::conformance::Subject;
use std::time::Duration;
use tollgate_core::store::idempotency::{
    Begin, Begun, Doubt, Held, IdempotencyStore, Owner, Phase, Settled, Settlement, Token,
};

/// The first begin claims the key, at epoch 1, and nothing is armed yet.
pub async fn an_absent_key_is_claimed<S: IdempotencyStore>(subject: &Subject<S>) {
    let asked = begin(subject, 1, 7);
    assert_eq!(
        ask!(subject.store().get(key(1))),
        None,
        "the store must be empty to begin with"
    );
    let token = acquire(subject, asked).await;
    assert_eq!((token.key, token.epoch, token.owner), (key(1), 1, Owner(7)));
    let found = record(subject, 1).await;
    assert_eq!(
        (found.phase, found.epoch, found.owner),
        (Phase::Prepared, 1, Owner(7))
    );
    assert_eq!(found.fingerprint, asked.fingerprint);
    assert_eq!(found.retention, asked.retention);
    assert_eq!(found.lease_until, found.changed_at.saturating_add(asked.lease));
    assert_eq!(
        (found.expires_at, found.doubt, found.completion),
        (None, None, None)
    );
}

/// With [`Begin::arm`], claim and arm are one step.
pub async fn begin_can_arm_in_the_same_step<S: IdempotencyStore>(subject: &Subject<S>) {
    let token = acquire(
        subject,
        Begin {
            arm: true,
            ..begin(subject, 1, 7)
        },
    )
    .await;
    assert_eq!(record(subject, 1).await.phase, Phase::Armed);
    subject.pass(2).await;
    let later = ask!(subject.store().begin(begin(subject, 1, 8)));
    assert!(
        matches!(later, Begun::Unknown { .. }),
        "armed keys have no expiry: {later:?}"
    );
    settle(
        subject,
        token,
        &Settlement::Completed(answer(b"done")),
        Settled::Applied,
    )
    .await;
}

/// Another request under the same key is a hard error in every phase: never "try again later", never somebody else's answer. A
/// released key stays pinned to its request too.
pub async fn the_fingerprint_is_compared_first<S: IdempotencyStore>(subject: &Subject<S>) {
    let phases = [
        Phase::Prepared,
        Phase::Armed,
        Phase::Completed,
        Phase::Released,
        Phase::Unknown,
    ];
    let spent = Begin {
        retention: Duration::ZERO,
        arm: true,
        ..begin(subject, 6, 7)
    };
    let done = Settlement::Completed(answer(b"done"));
    settle(subject, acquire(subject, spent).await, &done, Settled::Applied).await;
    for (number, phase) in (1..).zip(phases) {
        reach(subject, number, 7, phase).await;
        let before = record(subject, number).await;
        let other = ask!(subject.store().begin(other_request(begin(subject, number, 7))));
        assert_eq!(other, Begun::Mismatch, "while {phase:?}");
        assert_eq!(
            record(subject, number).await,
            before,
            "a mismatch changes nothing, while {phase:?}"
        );
    }
    subject.pass(2).await;
    for (number, phase) in (1..).zip(phases) {
        let other = ask!(subject.store().begin(other_request(begin(subject, number, 7))));
        assert_eq!(other, Begun::Mismatch, "after the lease, while {phase:?}");
    }
    for what in ["an answer whose retention is over", "a tombstone"] {
        let other = ask!(subject.store().begin(other_request(spent)));
        assert_eq!(other, Begun::Mismatch, "another request meets {what}");
        ask!(subject.store().collect(subject.unit() * 9, 100));
    }
}

/// A begin whose answer was lost gets the claim that it already holds.
pub async fn a_lost_begin_is_recognised<S: IdempotencyStore>(subject: &Subject<S>) {
    for (number, arm) in [(1, false), (2, true)] {
        let asked = Begin {
            arm,
            ..begin(subject, number, 7)
        };
        let first = acquire(subject, asked).await;
        assert_eq!(acquire(subject, asked).await, first, "arm: {arm}");
    }
}

/// Whoever is told "acquired" by a begin that arms holds an armed key, also when an earlier begin of the same owner only prepared it:
/// it will send without asking again.
pub async fn a_repeated_begin_arms_when_it_says_so<S: IdempotencyStore>(subject: &Subject<S>) {
    let first = acquire(subject, begin(subject, 1, 7)).await;
    let again = acquire(
        subject,
        Begin {
            arm: true,
            ..begin(subject, 1, 7)
        },
    )
    .await;
    assert_eq!(again, first);
    assert_eq!(record(subject, 1).await.phase, Phase::Armed);
    subject.pass(2).await;
    let thief = ask!(subject.store().begin(begin(subject, 1, 8)));
    assert!(matches!(thief, Begun::Unknown { .. }), "{thief:?}");
}

/// While the owner's lease runs, nobody else gets the key, prepared or armed (seed I12: with a short time to live the key was
/// entered again while the first run was still on).
pub async fn a_live_claim_cannot_be_taken_over<S: IdempotencyStore>(subject: &Subject<S>) {
    for (number, phase) in [(1, Phase::Prepared), (2, Phase::Armed)] {
        reach(subject, number, 7, phase).await;
        subject.pass_half().await;
        match ask!(subject.store().begin(begin(subject, number, 8))) {
            Begun::InFlight { retry_after } => {
                assert!(retry_after >= A_MOMENT, "a wait of zero makes clients hammer")
            }
            other => panic!("while {phase:?}: {other:?}"),
        }
    }
}

/// A prepared claim whose lease lapsed goes to the next one who asks, at the next epoch; the old owner finds out when it arms,
/// before it does anything.
pub async fn a_lapsed_claim_is_taken_over_and_its_owner_fenced<S: IdempotencyStore>(subject: &Subject<S>) {
    let old = acquire(subject, begin(subject, 1, 7)).await;
    subject.pass(1).await;
    let new = acquire(subject, begin(subject, 1, 8)).await;
    assert_eq!((new.epoch, new.owner), (old.epoch + 1, Owner(8)));
    assert_eq!(ask!(subject.store().arm(old, subject.unit())), Held::Fenced);
    assert_eq!(ask!(subject.store().renew(old, subject.unit())), Held::Fenced);
    settle(
        subject,
        old,
        &Settlement::Released,
        Settled::Fenced(Phase::Prepared),
    )
    .await;
    settle(
        subject,
        old,
        &Settlement::Completed(answer(b"old")),
        Settled::Fenced(Phase::Prepared),
    )
    .await;
    assert_eq!(ask!(subject.store().arm(new, subject.unit())), Held::Held);
}

/// The heart of it. Once armed, no amount of time and no upkeep makes a key runnable again (the flaw of every store with a plain
/// time to live; seed D1: a time-out clears the slot and the retry charges again). Nobody is let in: not who asks before the retention
/// is over, not who is the first to ask long after it, and not the owner itself.
pub async fn an_armed_key_never_runs_again_by_time_alone<S: IdempotencyStore>(subject: &Subject<S>) {
    let mut tokens = Vec::new();
    for number in 1..=3 {
        tokens.push(armed(subject, number, 7).await);
    }
    for (units, asked) in [(4, [1].as_slice()), (8, &[1, 2, 3]), (2, &[1, 2, 3])] {
        subject.pass(units).await;
        for &number in asked {
            let owner = if number == 3 { 7 } else { 8 };
            let begun = ask!(subject.store().begin(begin(subject, number, owner)));
            assert!(
                matches!(begun, Begun::Unknown { .. }),
                "key {number}, armed, {units} units later: {begun:?}"
            );
        }
        // the first time nothing looks after them: they get through a whole retention by themselves
        if units != 4 {
            ask!(subject.store().sweep(100));
            ask!(subject.store().collect(subject.unit(), 100));
        }
    }
    for (number, token) in (1..).zip(tokens) {
        let found = record(subject, number).await;
        assert_eq!(
            (found.phase, found.epoch, found.owner, found.doubt),
            (Phase::Unknown, token.epoch, token.owner, Some(Doubt::OwnerLost))
        );
    }
}

/// An arm's lease counts from the arm: the claim's was for the time before it.
pub async fn arming_starts_the_lease_anew<S: IdempotencyStore>(subject: &Subject<S>) {
    let token = acquire(subject, begin(subject, 1, 7)).await;
    subject.pass_half().await;
    assert_eq!(ask!(subject.store().arm(token, subject.unit() * 3)), Held::Held);
    subject.pass(1).await;
    let other = ask!(subject.store().begin(begin(subject, 1, 8)));
    assert!(
        matches!(other, Begun::InFlight { .. }),
        "half a lease after the claim, armed for three more: {other:?}"
    );
    assert_eq!(ask!(subject.store().sweep(100)), 0, "its owner is not lost");
}

/// An owner whose lease lapsed may not arm, even if nobody took over yet.
pub async fn arming_needs_a_live_lease<S: IdempotencyStore>(subject: &Subject<S>) {
    let token = acquire(subject, begin(subject, 1, 7)).await;
    subject.pass(1).await;
    assert_eq!(ask!(subject.store().arm(token, subject.unit())), Held::Fenced);
    assert_eq!(record(subject, 1).await.phase, Phase::Prepared);
}

/// An arm whose answer was lost may be asked again.
pub async fn a_lost_arm_is_recognised<S: IdempotencyStore>(subject: &Subject<S>) {
    let token = armed(subject, 1, 7).await;
    assert_eq!(ask!(subject.store().arm(token, subject.unit())), Held::Held);
    assert_eq!(record(subject, 1).await.phase, Phase::Armed);
}

/// Epoch and owner both count: with either of them wrong, a token arms, renews and settles nothing (seed I13: a stale owner removed
/// somebody else's finished record).
pub async fn a_stale_token_changes_nothing<S: IdempotencyStore>(subject: &Subject<S>) {
    for (number, phase) in [(1, Phase::Prepared), (2, Phase::Armed), (3, Phase::Unknown)] {
        let token = reach(subject, number, 7, phase).await;
        let before = record(subject, number).await;
        let stale = [
            Token {
                owner: Owner(8),
                ..token
            },
            Token {
                epoch: token.epoch + 1,
                ..token
            },
            Token {
                epoch: token.epoch - 1,
                ..token
            },
        ];
        for token in stale {
            assert_eq!(
                ask!(subject.store().arm(token, subject.unit() * 9)),
                Held::Fenced,
                "{phase:?}"
            );
            assert_eq!(
                ask!(subject.store().renew(token, subject.unit() * 9)),
                Held::Fenced,
                "{phase:?}"
            );
            for settlement in [
                Settlement::Completed(answer(b"not mine")),
                Settlement::Released,
                Settlement::Unknown(Doubt::Panicked),
            ] {
                settle(subject, token, &settlement, Settled::Fenced(phase)).await;
            }
        }
        assert_eq!(record(subject, number).await, before, "while {phase:?}");
    }
}

/// A renewal counts from now, whether that is later or sooner than before.
pub async fn a_renewal_extends_the_lease<S: IdempotencyStore>(subject: &Subject<S>) {
    let token = acquire(subject, begin(subject, 1, 7)).await;
    subject.pass_half().await;
    assert_eq!(ask!(subject.store().renew(token, subject.unit() * 3)), Held::Held);
    subject.pass(1).await;
    let other = ask!(subject.store().begin(begin(subject, 1, 8)));
    assert!(matches!(other, Begun::InFlight { .. }), "{other:?}");
    assert_eq!(ask!(subject.store().renew(token, A_MOMENT)), Held::Held);
    subject.pass(1).await;
    assert_eq!(
        ask!(subject.store().arm(token, subject.unit())),
        Held::Fenced,
        "a moment is over"
    );
}

/// An armed owner that comes back after its lease simply goes on: nobody can have taken over. A prepared one is fenced.
pub async fn an_armed_owner_may_renew_late<S: IdempotencyStore>(subject: &Subject<S>) {
    let armed = armed(subject, 1, 7).await;
    let prepared = acquire(subject, begin(subject, 2, 7)).await;
    subject.pass(2).await;
    assert_eq!(ask!(subject.store().renew(armed, subject.unit())), Held::Held);
    assert_eq!(
        ask!(subject.store().renew(prepared, subject.unit())),
        Held::Fenced
    );
    let other = ask!(subject.store().begin(begin(subject, 1, 8)));
    assert!(matches!(other, Begun::InFlight { .. }), "{other:?}");
}

/// Whoever waits only reads: it never deletes, extends or releases what it waits for.
pub async fn waiters_change_nothing<S: IdempotencyStore>(subject: &Subject<S>) {
    for (number, phase) in [(1, Phase::Prepared), (2, Phase::Armed)] {
        let token = reach(subject, number, 7, phase).await;
        let before = record(subject, number).await;
        for owner in 8u128..18 {
            ask!(subject.store().begin(begin(subject, number, owner)));
            ask!(subject.store().get(key(number)));
        }
        assert_eq!(record(subject, number).await, before, "while {phase:?}");
        settle(
            subject,
            token,
            &Settlement::Completed(answer(b"done")),
            Settled::Applied,
        )
        .await;
    }
}

/// What happens to one key happens to no other.
pub async fn keys_do_not_touch_each_other<S: IdempotencyStore>(subject: &Subject<S>) {
    let first = acquire(subject, begin(subject, 1, 7)).await;
    let second = acquire(subject, begin(subject, 2, 7)).await;
    let before = record(subject, 2).await;
    ask!(subject.store().arm(first, subject.unit()));
    settle(
        subject,
        first,
        &Settlement::Completed(answer(b"one")),
        Settled::Applied,
    )
    .await;
    assert_eq!(record(subject, 2).await, before);
    assert_eq!(ask!(subject.store().arm(second, subject.unit())), Held::Held);
    assert_eq!(record(subject, 1).await.completion, Some(answer(b"one")));
}
