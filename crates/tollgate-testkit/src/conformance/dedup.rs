//! What a webhook store must keep: each event processed once, and none lost.

use crate::conformance::Subject;
use tollgate_core::store::dedup::{Claim, Claimed, DedupStore, EventDigest, EventKey, Ticket};

properties! {
    /// Makes a module of tests out of every property of [`conformance::dedup`](crate::conformance::dedup): give the module's name
    /// and an expression that makes a [`Subject`](crate::conformance::Subject) with an empty store.
    dedup_conformance, each_dedup_property, dedup:
    a_new_event_is_claimed,
    a_claim_in_progress_is_not_given_twice,
    an_event_is_not_lost_when_its_process_dies,
    a_processed_event_is_not_processed_again,
    a_processed_event_is_forgotten_after_its_retention,
    a_released_event_can_be_claimed_at_once,
    a_late_owner_is_fenced,
    a_late_owner_may_commit_if_nobody_took_over,
    a_commit_can_be_repeated_but_not_undone,
    other_bytes_are_another_event,
    a_ticket_for_nothing_does_nothing,
    forgetting_takes_only_what_may_be_forgotten,
    events_do_not_touch_each_other,
    one_of_many_deliveries_wins,
}

fn claim<S: Send + Sync + 'static>(subject: &Subject<S>, number: u8) -> Claim {
    Claim {
        key: EventKey([number; 32]),
        digest: EventDigest([1; 32]),
        lease: subject.unit(),
    }
}

async fn acquire<S: DedupStore>(subject: &Subject<S>, number: u8) -> Ticket {
    match ask!(subject.store().claim(claim(subject, number))) {
        Claimed::Acquired(ticket) => ticket,
        other => panic!("the event should have been free, but: {other:?}"),
    }
}

/// The first delivery gets the event.
pub async fn a_new_event_is_claimed<S: DedupStore>(subject: &Subject<S>) {
    assert_eq!(acquire(subject, 1).await.key, EventKey([1; 32]));
}

/// While one delivery is at it, another is told to come back, and when.
pub async fn a_claim_in_progress_is_not_given_twice<S: DedupStore>(subject: &Subject<S>) {
    acquire(subject, 1).await;
    subject.pass_half().await;
    match ask!(subject.store().claim(claim(subject, 1))) {
        Claimed::InProgress { retry_after } => {
            assert!(
                !retry_after.is_zero() && retry_after <= subject.unit(),
                "{retry_after:?}"
            );
        }
        other => panic!("{other:?}"),
    }
}

/// A claim without a commit is no processing: the redelivery gets the event (seed W9: an event that was marked before it was
/// processed is acknowledged, and lost).
pub async fn an_event_is_not_lost_when_its_process_dies<S: DedupStore>(subject: &Subject<S>) {
    let died = acquire(subject, 1).await;
    subject.pass(1).await;
    let redelivered = acquire(subject, 1).await;
    assert!(
        redelivered.fence > died.fence,
        "the fence rises: {redelivered:?} after {died:?}"
    );
}

/// Done is done, for as long as it is kept.
pub async fn a_processed_event_is_not_processed_again<S: DedupStore>(subject: &Subject<S>) {
    let ticket = acquire(subject, 1).await;
    assert!(ask!(subject.store().commit(ticket, subject.unit() * 5)));
    for _ in 0..4 {
        assert_eq!(ask!(subject.store().claim(claim(subject, 1))), Claimed::Done);
        ask!(subject.store().forget(100));
        subject.pass(1).await;
    }
}

/// After the retention an event is new again.
pub async fn a_processed_event_is_forgotten_after_its_retention<S: DedupStore>(subject: &Subject<S>) {
    let ticket = acquire(subject, 1).await;
    assert!(ask!(subject.store().commit(ticket, subject.unit())));
    subject.pass(1).await;
    acquire(subject, 1).await;
}

/// What a handler gave back, the next delivery may have at once.
pub async fn a_released_event_can_be_claimed_at_once<S: DedupStore>(subject: &Subject<S>) {
    let ticket = acquire(subject, 1).await;
    assert!(ask!(subject.store().release(ticket)));
    let next = acquire(subject, 1).await;
    assert!(next.fence > ticket.fence);
}

/// A handler that was thought dead can neither finish nor give back what another delivery processes now.
pub async fn a_late_owner_is_fenced<S: DedupStore>(subject: &Subject<S>) {
    let late = acquire(subject, 1).await;
    subject.pass(1).await;
    let current = acquire(subject, 1).await;
    assert!(!ask!(subject.store().commit(late, subject.unit())));
    assert!(!ask!(subject.store().release(late)));
    let other = ask!(subject.store().claim(claim(subject, 1)));
    assert!(matches!(other, Claimed::InProgress { .. }), "{other:?}");
    assert!(ask!(subject.store().commit(current, subject.unit())));
}

/// A handler that took too long, but that nobody replaced, has processed the event.
pub async fn a_late_owner_may_commit_if_nobody_took_over<S: DedupStore>(subject: &Subject<S>) {
    let late = acquire(subject, 1).await;
    subject.pass(2).await;
    assert!(ask!(subject.store().commit(late, subject.unit())));
    assert_eq!(ask!(subject.store().claim(claim(subject, 1))), Claimed::Done);
}

/// A commit's acknowledgement can be lost; a release after it comes too late.
pub async fn a_commit_can_be_repeated_but_not_undone<S: DedupStore>(subject: &Subject<S>) {
    let ticket = acquire(subject, 1).await;
    assert!(ask!(subject.store().commit(ticket, subject.unit())));
    assert!(ask!(subject.store().commit(ticket, subject.unit())));
    assert!(!ask!(subject.store().release(ticket)));
    assert_eq!(ask!(subject.store().claim(claim(subject, 1))), Claimed::Done);
}

/// The same id with other bytes is a forgery or a mistake, and never "done".
pub async fn other_bytes_are_another_event<S: DedupStore>(subject: &Subject<S>) {
    let other = Claim {
        digest: EventDigest([2; 32]),
        ..claim(subject, 1)
    };
    let ticket = acquire(subject, 1).await;
    assert_eq!(ask!(subject.store().claim(other)), Claimed::Conflict);
    assert!(ask!(subject.store().commit(ticket, subject.unit())));
    assert_eq!(ask!(subject.store().claim(other)), Claimed::Conflict);
}

/// A ticket that no claim gave marks nothing.
pub async fn a_ticket_for_nothing_does_nothing<S: DedupStore>(subject: &Subject<S>) {
    let forged = Ticket {
        key: EventKey([1; 32]),
        fence: 1,
    };
    assert!(!ask!(subject.store().commit(forged, subject.unit())));
    assert!(!ask!(subject.store().release(forged)));
    acquire(subject, 1).await;
}

/// Upkeep takes what is done and past its retention, up to its limit: never what is being processed.
pub async fn forgetting_takes_only_what_may_be_forgotten<S: DedupStore>(subject: &Subject<S>) {
    for number in 1..=3 {
        let ticket = acquire(subject, number).await;
        assert!(ask!(subject.store().commit(ticket, subject.unit())));
    }
    let kept = acquire(subject, 4).await;
    assert!(ask!(subject.store().commit(kept, subject.unit() * 50)));
    subject.pass(1).await;
    let running = acquire(subject, 5).await;
    assert_eq!(ask!(subject.store().forget(2)), 2, "no more than the limit");
    assert_eq!(ask!(subject.store().forget(100)), 1);
    assert_eq!(ask!(subject.store().forget(100)), 0);
    assert_eq!(ask!(subject.store().claim(claim(subject, 4))), Claimed::Done);
    assert!(ask!(subject.store().commit(running, subject.unit())));
    acquire(subject, 1).await;
}

/// What happens to one event happens to no other.
pub async fn events_do_not_touch_each_other<S: DedupStore>(subject: &Subject<S>) {
    let first = acquire(subject, 1).await;
    let second = acquire(subject, 2).await;
    assert!(ask!(subject.store().commit(first, subject.unit())));
    let running = ask!(subject.store().claim(claim(subject, 2)));
    assert!(matches!(running, Claimed::InProgress { .. }), "{running:?}");
    assert!(ask!(subject.store().release(second)));
    assert_eq!(ask!(subject.store().claim(claim(subject, 1))), Claimed::Done);
}

/// Of many deliveries at one moment, one processes the event.
pub async fn one_of_many_deliveries_wins<S: DedupStore>(subject: &Subject<S>) {
    for number in 1..=8 {
        let asked = claim(subject, number);
        let answers = subject
            .together(16, |store, _| async move { ask!(store.claim(asked)) })
            .await;
        let won = answers
            .iter()
            .filter(|claimed| matches!(claimed, Claimed::Acquired(_)))
            .count();
        assert_eq!(won, 1, "event {number}: {answers:?}");
    }
}
