//! What a velocity store must keep: a limit that holds, also for those who ask at one moment.

use crate::conformance::Subject;
use tollgate_core::store::velocity::{Admit, Admitted, VelocityKey, VelocityStore};

properties! {
    /// Makes a module of tests out of every property of [`conformance::velocity`](crate::conformance::velocity): give the module's
    /// name and an expression that makes a [`Subject`](crate::conformance::Subject) with an empty store.
    velocity_conformance, each_velocity_property, velocity:
    the_limit_holds_and_includes_the_event,
    a_refused_event_is_not_recorded,
    the_window_slides,
    weights_add_up,
    a_single_event_over_the_limit_is_refused,
    huge_weights_do_not_wrap,
    counters_do_not_touch_each_other,
    events_at_one_moment_never_exceed_the_limit,
}

fn admit<S: Send + Sync + 'static>(subject: &Subject<S>, number: u8, weight: u64, limit: u64) -> Admit {
    Admit {
        key: VelocityKey([number; 32]),
        window: subject.unit() * 4,
        weight,
        limit,
    }
}

async fn expect<S: VelocityStore>(subject: &Subject<S>, asked: Admit, within: bool, total: u64) {
    let answer = ask!(subject.store().admit(asked));
    assert_eq!(answer, Admitted { within, total }, "{asked:?}");
}

/// Up to the limit, this event included, and no further; the total says how far.
pub async fn the_limit_holds_and_includes_the_event<S: VelocityStore>(subject: &Subject<S>) {
    for total in 1..=3 {
        expect(subject, admit(subject, 1, 1, 3), true, total).await;
    }
    expect(subject, admit(subject, 1, 1, 3), false, 3).await;
}

/// Somebody who keeps trying does not lock himself out for longer.
pub async fn a_refused_event_is_not_recorded<S: VelocityStore>(subject: &Subject<S>) {
    expect(subject, admit(subject, 1, 1, 1), true, 1).await;
    for _ in 0..4 {
        subject.pass_half().await;
        expect(subject, admit(subject, 1, 1, 1), false, 1).await;
    }
    subject.pass(2).await;
    expect(subject, admit(subject, 1, 1, 1), true, 1).await;
}

/// An event counts for exactly its window, not for a calendar interval.
pub async fn the_window_slides<S: VelocityStore>(subject: &Subject<S>) {
    expect(subject, admit(subject, 1, 1, 2), true, 1).await;
    subject.pass(2).await;
    expect(subject, admit(subject, 1, 1, 2), true, 2).await;
    subject.pass(1).await;
    expect(subject, admit(subject, 1, 1, 2), false, 2).await;
    subject.pass(1).await;
    expect(subject, admit(subject, 1, 1, 2), true, 2).await;
}

/// Amounts are summed, not counted.
pub async fn weights_add_up<S: VelocityStore>(subject: &Subject<S>) {
    expect(subject, admit(subject, 1, 600, 1000), true, 600).await;
    expect(subject, admit(subject, 1, 401, 1000), false, 600).await;
    expect(subject, admit(subject, 1, 400, 1000), true, 1000).await;
    expect(subject, admit(subject, 1, 0, 1000), true, 1000).await;
}

/// The first event counts too.
pub async fn a_single_event_over_the_limit_is_refused<S: VelocityStore>(subject: &Subject<S>) {
    expect(subject, admit(subject, 1, 11, 10), false, 0).await;
    expect(subject, admit(subject, 1, 10, 10), true, 10).await;
}

/// Sums at the end of the range refuse: they neither wrap to small ones nor break the counter.
pub async fn huge_weights_do_not_wrap<S: VelocityStore>(subject: &Subject<S>) {
    let most = u64::MAX - 1;
    expect(subject, admit(subject, 1, most, most), true, most).await;
    expect(subject, admit(subject, 1, most, most), false, most).await;
    expect(subject, admit(subject, 1, u64::MAX, most), false, most).await;
    expect(subject, admit(subject, 1, 1, u64::MAX), true, u64::MAX).await;
    expect(subject, admit(subject, 1, u64::MAX, u64::MAX), true, u64::MAX).await;
    expect(subject, admit(subject, 1, 1, 5), false, u64::MAX).await;
}

/// What is counted for one is counted for no other.
pub async fn counters_do_not_touch_each_other<S: VelocityStore>(subject: &Subject<S>) {
    expect(subject, admit(subject, 1, 1, 1), true, 1).await;
    expect(subject, admit(subject, 2, 1, 1), true, 1).await;
    expect(subject, admit(subject, 1, 1, 1), false, 1).await;
}

/// Counting and recording are one step (seed F2: of fifty that asked at one moment, fifty were let through a limit of five).
pub async fn events_at_one_moment_never_exceed_the_limit<S: VelocityStore>(subject: &Subject<S>) {
    let one = admit(subject, 1, 1, 5);
    let answers = subject
        .together(50, |store, _| async move { ask!(store.admit(one)) })
        .await;
    assert_eq!(answers.iter().filter(|answer| answer.within).count(), 5);
}
