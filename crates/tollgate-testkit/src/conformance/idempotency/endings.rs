//! What is known about a key, and who may say so.

use super::{acquire, answer, armed, begin, key, other_request, reach, record, resolution, settle};
use crate::conformance::Subject;
use tollgate_core::store::idempotency::{
    Begun, Completion, Doubt, Envelope, Evidence, IdempotencyStore, Owner, Phase, Resolution, Resolved,
    Settled, Settlement, Token,
};

/// Status, headers and body come back as they were written: empty, long, not text at all, with space around it; an answer that was not kept comes
/// back as such.
pub async fn an_answer_is_replayed_byte_for_byte<S: IdempotencyStore>(subject: &Subject<S>) {
    let every_byte: Vec<u8> = (0..=255).collect();
    let long = every_byte.repeat(1024);
    let envelope = |ok, status, head: Option<&[u8]>, body: &[u8]| {
        Some(Envelope {
            ok,
            status,
            head: head.map(Into::into),
            body: body.into(),
        })
    };
    let answers = [
        (true, envelope(true, 201, Some(&every_byte), b"{\"id\":1}")),
        (false, envelope(false, 402, None, &every_byte)),
        (true, envelope(true, 204, Some(b""), b"")),
        (true, envelope(true, 0, None, &long)),
        (true, envelope(true, u16::MAX, None, b"")),
        (true, envelope(true, 200, Some(b" \r\n\0"), b"\n {} \r\n\0")),
        (true, None),
        (false, None),
    ];
    for (number, (executed, envelope)) in (1..).zip(answers) {
        let completion = Completion { executed, envelope };
        let token = armed(subject, number, 7).await;
        settle(
            subject,
            token,
            &Settlement::Completed(completion.clone()),
            Settled::Applied,
        )
        .await;
        let again = ask!(subject.store().begin(begin(subject, number, 8)));
        assert_eq!(again, Begun::Replay(completion.clone()));
        assert_eq!(record(subject, number).await.completion, Some(completion));
    }
}

/// A final answer stands: no later settlement, evidence, begin or renewal changes a byte of it. (Seed I21: records were shared by
/// reference, so that a store whose update did nothing passed for right.)
pub async fn a_completed_record_never_changes<S: IdempotencyStore>(subject: &Subject<S>) {
    let token = reach(subject, 1, 7, Phase::Completed).await;
    let before = record(subject, 1).await;
    let fenced = Settled::Fenced(Phase::Completed);
    settle(subject, token, &Settlement::Released, fenced).await;
    settle(subject, token, &Settlement::Unknown(Doubt::Panicked), fenced).await;
    settle(subject, token, &Settlement::Completed(answer(b"another")), fenced).await;
    for outcome in [Resolution::Released, Resolution::Completed(answer(b"another"))] {
        let resolve = resolution(subject, token, outcome).await;
        let resolved = ask!(subject.store().resolve(resolve));
        assert_eq!(resolved, Resolved::Stale);
    }
    ask!(subject.store().arm(token, subject.unit()));
    ask!(subject.store().renew(token, subject.unit()));
    ask!(subject.store().begin(begin(subject, 1, 8)));
    subject.pass(2).await;
    ask!(subject.store().sweep(100));
    ask!(subject.store().collect(subject.unit(), 100));
    assert_eq!(record(subject, 1).await, before);
}

/// A settlement's acknowledgement can be lost, so the same one may be written again.
pub async fn a_settlement_can_be_repeated<S: IdempotencyStore>(subject: &Subject<S>) {
    for (number, settlement) in (1..).zip([
        Settlement::Completed(answer(b"done")),
        Settlement::Released,
        Settlement::Unknown(Doubt::AnswerInDoubt),
    ]) {
        let token = armed(subject, number, 7).await;
        settle(subject, token, &settlement, Settled::Applied).await;
        let before = record(subject, number).await;
        subject.pass_half().await;
        settle(subject, token, &settlement, Settled::AlreadyApplied).await;
        assert_eq!(record(subject, number).await, before, "{settlement:?}");
    }
}

/// When nothing happened, the key may run again, at the next epoch, for the same request and for no other.
pub async fn a_released_key_runs_again_for_the_same_request_only<S: IdempotencyStore>(subject: &Subject<S>) {
    let mut epoch = 0;
    for owner in 7u128..10 {
        if epoch > 0 {
            let other = ask!(subject.store().begin(other_request(begin(subject, 1, owner))));
            assert_eq!(
                other,
                Begun::Mismatch,
                "a release must not open the key to another amount"
            );
        }
        let token = armed(subject, 1, owner).await;
        assert_eq!(token.epoch, epoch + 1);
        epoch = token.epoch;
        settle(subject, token, &Settlement::Released, Settled::Applied).await;
        assert_eq!(record(subject, 1).await.phase, Phase::Released);
    }
}

/// As long as nobody knows, nobody runs, and the reason is kept.
pub async fn an_unknown_outcome_blocks_the_key<S: IdempotencyStore>(subject: &Subject<S>) {
    for (number, doubt) in (1..).zip(Doubt::ALL) {
        let token = armed(subject, number, 7).await;
        settle(subject, token, &Settlement::Unknown(doubt), Settled::Applied).await;
        for owner in [7, 8] {
            let begun = ask!(subject.store().begin(begin(subject, number, owner)));
            let since = record(subject, number).await.changed_at;
            assert_eq!(begun, Begun::Unknown { since }, "{doubt:?}");
        }
        assert_eq!(record(subject, number).await.doubt, Some(doubt));
    }
    subject.pass(20).await;
    let begun = ask!(subject.store().begin(begin(subject, 1, 8)));
    assert!(
        matches!(begun, Begun::Unknown { .. }),
        "after a long time: {begun:?}"
    );
}

/// The owner that said "unknown" may find out after all.
pub async fn the_owner_may_settle_its_own_doubt<S: IdempotencyStore>(subject: &Subject<S>) {
    let token = reach(subject, 1, 7, Phase::Unknown).await;
    settle(
        subject,
        token,
        &Settlement::Completed(answer(b"found")),
        Settled::Applied,
    )
    .await;
    let found = record(subject, 1).await;
    assert_eq!((found.phase, found.doubt), (Phase::Completed, None));
    assert_eq!(
        ask!(subject.store().begin(begin(subject, 1, 8))),
        Begun::Replay(answer(b"found"))
    );
}

/// An owner that the sweep took for lost may still say that nothing happened. One that said itself that it does not know may not:
/// the last word must not beat the doubt (last error wins: attempt 1 timed out, attempt 2 was never sent).
pub async fn only_a_lost_owner_may_still_prove_absence<S: IdempotencyStore>(subject: &Subject<S>) {
    let in_doubt = reach(subject, 1, 7, Phase::Unknown).await;
    settle(
        subject,
        in_doubt,
        &Settlement::Released,
        Settled::Fenced(Phase::Unknown),
    )
    .await;
    assert_eq!(record(subject, 1).await.phase, Phase::Unknown);

    let lost = armed(subject, 2, 7).await;
    subject.pass(1).await;
    ask!(subject.store().sweep(100));
    assert_eq!(record(subject, 2).await.doubt, Some(Doubt::OwnerLost));
    settle(subject, lost, &Settlement::Released, Settled::Applied).await;
    assert_eq!(record(subject, 2).await.phase, Phase::Released);
}

/// Evidence completes a doubtful key, and who said so and why stays with the record.
pub async fn evidence_ends_a_doubt_and_is_kept<S: IdempotencyStore>(subject: &Subject<S>) {
    let swept = armed(subject, 1, 7).await;
    let lapsed = armed(subject, 2, 7).await;
    let unknown = reach(subject, 3, 7, Phase::Unknown).await;
    subject.pass(1).await;
    ask!(subject.store().sweep(1));
    for token in [swept, lapsed, unknown] {
        let evidence = Evidence {
            actor: "ops@example".into(),
            reason: "café: lookup found pay_17 'captured'".into(),
        };
        let found = Resolution::Completed(answer(b"looked up"));
        let mut resolve = resolution(subject, token, found).await;
        resolve.evidence = evidence.clone();
        let number = token.key.as_bytes()[0];
        let ended = ask!(subject.store().resolve(resolve));
        assert_eq!(
            ended,
            Resolved::Resolved,
            "1 swept, 2 lapsed, 3 unknown: {number}"
        );
        let found = record(subject, number).await;
        assert_eq!((found.phase, found.evidence), (Phase::Completed, Some(evidence)));
        let again = ask!(subject.store().begin(begin(subject, number, 8)));
        assert_eq!(again, Begun::Replay(answer(b"looked up")));
    }
}

/// That it did not happen can be declared only once the owner's lease has lapsed: it may be frozen and still send.
pub async fn absence_needs_a_lapsed_lease<S: IdempotencyStore>(subject: &Subject<S>) {
    let token = reach(subject, 1, 7, Phase::Unknown).await;
    let absent = resolution(subject, token, Resolution::Released).await;
    match ask!(subject.store().resolve(absent)) {
        Resolved::TooEarly { retry_after } => assert!(retry_after <= subject.unit() * 2),
        other => panic!("the owner may still send: {other:?}"),
    }
    assert_eq!(record(subject, 1).await.phase, Phase::Unknown);
    subject.pass(1).await;
    let absent = resolution(subject, token, Resolution::Released).await;
    assert_eq!(ask!(subject.store().resolve(absent)), Resolved::Resolved);
    let again = acquire(subject, begin(subject, 1, 8)).await;
    assert_eq!(again.epoch, token.epoch + 1);
}

/// Somebody declared absence while the owner was only slow: the owner's own word that it happened, or may have, counts as long as the
/// key has not run again. Thrown away, the next repeat would charge a second time.
pub async fn the_owners_proof_beats_a_wrong_absence<S: IdempotencyStore>(subject: &Subject<S>) {
    let (proof, doubt) = (
        Settlement::Completed(answer(b"paid")),
        Settlement::Unknown(Doubt::AnswerInDoubt),
    );
    let mut declared = Vec::new();
    for number in 1..=3 {
        declared.push(armed(subject, number, 7).await);
    }
    subject.pass(1).await;
    for token in &declared {
        let absent = resolution(subject, *token, Resolution::Released).await;
        assert_eq!(ask!(subject.store().resolve(absent)), Resolved::Resolved);
    }
    settle(subject, declared[0], &proof, Settled::Applied).await;
    let replay = ask!(subject.store().begin(begin(subject, 1, 8)));
    assert_eq!(replay, Begun::Replay(answer(b"paid")));

    settle(subject, declared[1], &doubt, Settled::Applied).await;
    let blocked = ask!(subject.store().begin(begin(subject, 2, 8)));
    assert!(matches!(blocked, Begun::Unknown { .. }), "{blocked:?}");

    let next = acquire(subject, begin(subject, 3, 8)).await;
    settle(subject, declared[2], &proof, Settled::Fenced(Phase::Prepared)).await;
    assert_eq!(record(subject, 3).await.epoch, next.epoch);

    // its own release is another matter: nothing happened, by its own word
    let released = reach(subject, 4, 7, Phase::Released).await;
    for late in [&proof, &doubt] {
        settle(subject, released, late, Settled::Fenced(Phase::Released)).await;
    }
    acquire(subject, begin(subject, 4, 8)).await;
}

/// Nor is it proved by a look that began while the lease still ran, however late it is written down: what the owner sent after the
/// look has arrived since.
pub async fn absence_needs_a_look_after_the_lease<S: IdempotencyStore>(subject: &Subject<S>) {
    let token = reach(subject, 1, 7, Phase::Unknown).await;
    let absent = resolution(subject, token, Resolution::Released).await;
    subject.pass(1).await;
    match ask!(subject.store().resolve(absent)) {
        Resolved::TooEarly { retry_after } => assert!(retry_after <= subject.unit() * 2),
        other => panic!("the owner could still send after the look: {other:?}"),
    }
    assert_eq!(record(subject, 1).await.phase, Phase::Unknown);
    // what was found is true whenever it was looked for
    let found = armed(subject, 2, 7).await;
    let executed = Resolution::Completed(answer(b"looked up"));
    let seen = resolution(subject, found, executed).await;
    subject.pass(1).await;
    assert_eq!(ask!(subject.store().resolve(seen)), Resolved::Resolved);
}

/// Evidence speaks about one run: gathered at another epoch, it decides nothing.
pub async fn evidence_of_another_epoch_is_stale<S: IdempotencyStore>(subject: &Subject<S>) {
    let first = armed(subject, 1, 7).await;
    settle(subject, first, &Settlement::Released, Settled::Applied).await;
    let second = reach(subject, 1, 8, Phase::Unknown).await;
    subject.pass(1).await;
    for epoch in [first.epoch, second.epoch + 1] {
        let found = Resolution::Completed(answer(b"the first run"));
        let stale = resolution(subject, Token { epoch, ..second }, found).await;
        assert_eq!(
            ask!(subject.store().resolve(stale)),
            Resolved::Stale,
            "epoch {epoch}"
        );
    }
    assert_eq!(record(subject, 1).await.phase, Phase::Unknown);
}

/// Evidence decides nothing about a key that is free, running within its lease, or settled.
pub async fn what_is_settled_needs_no_evidence<S: IdempotencyStore>(subject: &Subject<S>) {
    for (number, phase) in (1..).zip([Phase::Prepared, Phase::Armed, Phase::Completed, Phase::Released]) {
        let token = reach(subject, number, 7, phase).await;
        let before = record(subject, number).await;
        for outcome in [Resolution::Released, Resolution::Completed(answer(b"evidence"))] {
            let resolve = resolution(subject, token, outcome).await;
            let resolved = ask!(subject.store().resolve(resolve));
            assert_eq!(resolved, Resolved::Stale, "while {phase:?}");
        }
        assert_eq!(record(subject, number).await, before, "while {phase:?}");
    }
    let absent = Token {
        key: key(9),
        epoch: 1,
        owner: Owner(7),
    };
    let nothing = resolution(subject, absent, Resolution::Released).await;
    let resolved = ask!(subject.store().resolve(nothing));
    assert_eq!(resolved, Resolved::Stale, "a key that was never begun");
}

/// A settlement never makes a record out of nothing.
pub async fn settling_what_is_absent_says_so<S: IdempotencyStore>(subject: &Subject<S>) {
    let token = Token {
        key: key(1),
        epoch: 1,
        owner: Owner(7),
    };
    settle(
        subject,
        token,
        &Settlement::Completed(answer(b"done")),
        Settled::Gone,
    )
    .await;
    assert_eq!(ask!(subject.store().get(key(1))), None);
}
