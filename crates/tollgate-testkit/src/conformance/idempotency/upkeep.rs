//! What time does to records, and what it must not do.

use super::{acquire, answer, armed, begin, key, other_request, reach, record, resolution, settle};
use crate::conformance::Subject;
use tollgate_core::store::idempotency::{
    Begun, Doubt, IdempotencyStore, Phase, Resolution, Resolved, Settled, Settlement, Unresolved,
};

/// The sweep finds armed records whose lease lapsed, up to its limit, and touches nothing else.
pub async fn the_sweep_marks_lost_owners_and_nobody_else<S: IdempotencyStore>(subject: &Subject<S>) {
    for number in 1..=3 {
        armed(subject, number, 7).await;
    }
    acquire(subject, begin(subject, 4, 7)).await;
    reach(subject, 5, 7, Phase::Completed).await;
    subject.pass(1).await;
    let alive = armed(subject, 6, 7).await;
    let before = [
        record(subject, 4).await,
        record(subject, 5).await,
        record(subject, 6).await,
    ];

    assert_eq!(ask!(subject.store().sweep(2)), 2, "no more than the limit");
    assert_eq!(ask!(subject.store().sweep(100)), 1);
    assert_eq!(ask!(subject.store().sweep(100)), 0);
    for number in 1..=3 {
        let found = record(subject, number).await;
        assert_eq!(
            (found.phase, found.doubt),
            (Phase::Unknown, Some(Doubt::OwnerLost))
        );
    }
    let after = [
        record(subject, 4).await,
        record(subject, 5).await,
        record(subject, 6).await,
    ];
    assert_eq!(after, before);
    settle(
        subject,
        alive,
        &Settlement::Completed(answer(b"done")),
        Settled::Applied,
    )
    .await;
}

/// Open outcomes are listed by key, in pages, each once: unknown ones at once, armed ones when their owner is late.
pub async fn open_outcomes_are_listed_in_pages<S: IdempotencyStore>(subject: &Subject<S>) {
    // the last by key has been open for longest
    reach(subject, 9, 7, Phase::Unknown).await;
    subject.pass_half().await;
    for number in [5, 2] {
        reach(subject, number, 7, Phase::Unknown).await;
    }
    for number in [7, 3] {
        armed(subject, number, 7).await;
    }
    reach(subject, 1, 7, Phase::Completed).await;
    reach(subject, 4, 7, Phase::Released).await;
    acquire(subject, begin(subject, 6, 7)).await;
    assert_eq!(
        pages(subject).await,
        [2, 5, 9],
        "armed and within their lease: not open yet"
    );

    subject.pass(1).await;
    assert_eq!(pages(subject).await, [2, 3, 5, 7, 9]);
    let listed = ask!(subject.store().unresolved(Some(key(2)), 1));
    let found = record(subject, 3).await;
    assert_eq!(listed, [Unresolved::of(key(3), &found)]);
    let lost = armed(subject, 8, 7).await;
    let ended = resolution(subject, lost, Resolution::Completed(answer(b""))).await;
    subject.pass(1).await;
    assert_eq!(ask!(subject.store().resolve(ended)), Resolved::Resolved);
    assert_eq!(
        pages(subject).await,
        [2, 3, 5, 7, 9],
        "what was resolved is not listed"
    );
}

async fn pages<S: IdempotencyStore>(subject: &Subject<S>) -> Vec<u8> {
    let (mut after, mut found) = (None, Vec::new());
    loop {
        let page = ask!(subject.store().unresolved(after, 2));
        assert!(page.len() <= 2, "no more than the limit");
        let Some(last) = page.last() else { return found };
        after = Some(last.key);
        found.extend(page.iter().map(|open| open.key.as_bytes()[0]));
        assert!(found.len() < 100, "the listing does not end");
    }
}

/// An answer is replayed until its retention is over, also across upkeep, and never executed again after it.
pub async fn an_answer_is_kept_for_its_retention<S: IdempotencyStore>(subject: &Subject<S>) {
    reach(subject, 1, 7, Phase::Completed).await;
    subject.pass(8).await;
    assert_eq!(ask!(subject.store().collect(subject.unit(), 100)), 0);
    let kept = ask!(subject.store().begin(begin(subject, 1, 8)));
    assert_eq!(kept, Begun::Replay(answer(b"done")));
    subject.pass(2).await;
    assert_eq!(ask!(subject.store().begin(begin(subject, 1, 8))), Begun::Expired);
}

/// After the retention the answer goes, the key stays spent for the tombstone's time, and only then may be used again.
pub async fn collecting_leaves_a_tombstone<S: IdempotencyStore>(subject: &Subject<S>) {
    for number in 1..=3 {
        reach(subject, number, 7, Phase::Completed).await;
    }
    reach(subject, 4, 7, Phase::Released).await;
    subject.pass(10).await;
    assert_eq!(
        ask!(subject.store().collect(subject.unit() * 2, 2)),
        2,
        "no more than the limit"
    );
    assert_eq!(ask!(subject.store().collect(subject.unit() * 2, 100)), 2);
    assert_eq!(ask!(subject.store().collect(subject.unit() * 2, 100)), 0);
    for number in 1..=3 {
        let found = record(subject, number).await;
        assert_eq!((found.phase, found.completion), (Phase::Expired, None));
        assert_eq!(
            ask!(subject.store().begin(begin(subject, number, 8))),
            Begun::Expired
        );
    }
    assert_eq!(
        ask!(subject.store().get(key(4))),
        None,
        "what was released leaves nothing"
    );
    subject.pass(2).await;
    assert_eq!(ask!(subject.store().collect(subject.unit(), 100)), 3);
    assert_eq!(ask!(subject.store().get(key(1))), None);
}

/// A claim, also one that nobody armed in time, and a release keep what pins the key to its request: until their retention is over, no
/// upkeep makes it free for another amount, or lets its epoch begin anew.
pub async fn collecting_leaves_a_request_pinned<S: IdempotencyStore>(subject: &Subject<S>) {
    reach(subject, 1, 7, Phase::Prepared).await;
    reach(subject, 2, 7, Phase::Released).await;
    subject.pass(1).await;
    reach(subject, 3, 7, Phase::Prepared).await;
    for units in [1, 8] {
        let before = [record(subject, 1).await, record(subject, 2).await];
        ask!(subject.store().sweep(100));
        let collected = ask!(subject.store().collect(subject.unit(), 100));
        assert_eq!(collected, 0, "nothing is past its retention after {units} units");
        assert_eq!([record(subject, 1).await, record(subject, 2).await], before);
        for number in 1..=3 {
            let other = ask!(subject.store().begin(other_request(begin(subject, number, 8))));
            assert_eq!(other, Begun::Mismatch, "key {number}, after {units} units");
        }
        if units == 1 {
            subject.pass(7).await;
        }
    }
    for number in [1, 2] {
        let next = acquire(subject, begin(subject, number, 8)).await;
        assert_eq!(next.epoch, 2, "key {number}");
    }
}

/// However old: an outcome that is open stays until somebody ends it.
pub async fn collecting_never_touches_open_outcomes<S: IdempotencyStore>(subject: &Subject<S>) {
    armed(subject, 1, 7).await;
    reach(subject, 2, 7, Phase::Unknown).await;
    subject.pass(30).await;
    assert_eq!(ask!(subject.store().collect(subject.unit(), 100)), 0);
    assert_eq!(record(subject, 1).await.phase, Phase::Armed);
    assert_eq!(record(subject, 2).await.phase, Phase::Unknown);
}
