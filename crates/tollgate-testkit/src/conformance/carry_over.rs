//! What a carry-over store must keep: nothing of a run is lost, and no two runs take the same rows.

use crate::conformance::Subject;
use std::sync::Arc;
use tollgate_core::store::carry_over::{Carried, CarryOverStore, Replaced};

properties! {
    /// Makes a module of tests out of every property of [`conformance::carry_over`](crate::conformance::carry_over): give the
    /// module's name and an expression that makes a [`Subject`](crate::conformance::Subject) with an empty store.
    carry_over_conformance, each_carry_over_property, carry_over:
    nothing_is_there_at_first,
    what_was_left_is_found_byte_for_byte,
    a_stale_replacement_writes_nothing,
    a_lost_replacement_is_recognised,
    runs_do_not_touch_each_other,
    of_two_replacements_at_one_moment_one_wins,
}

fn body(text: &str) -> Arc<[u8]> {
    text.as_bytes().into()
}

async fn replace<S: CarryOverStore>(
    subject: &Subject<S>,
    run: &str,
    seen: u64,
    text: &str,
    expected: Replaced,
) {
    let answer = ask!(subject.store().replace(run, seen, body(text)));
    assert_eq!(answer, expected, "replacing version {seen} of {run}");
}

async fn expect<S: CarryOverStore>(subject: &Subject<S>, run: &str, version: u64, text: &str) {
    let body = body(text);
    assert_eq!(
        ask!(subject.store().load(run)),
        Some(Carried { version, body }),
        "{run}"
    );
}

/// Before the first run nothing is there, and nothing but version 0 can be replaced.
pub async fn nothing_is_there_at_first<S: CarryOverStore>(subject: &Subject<S>) {
    assert_eq!(ask!(subject.store().load("daily")), None);
    replace(subject, "daily", 1, "a", Replaced::Stale { version: 0 }).await;
    assert_eq!(ask!(subject.store().load("daily")), None);
}

/// Each replacement goes up by one version and comes back as it was written, an empty one too.
pub async fn what_was_left_is_found_byte_for_byte<S: CarryOverStore>(subject: &Subject<S>) {
    for (seen, text) in [(0, "first"), (1, ""), (2, "\u{0}\u{ff} not quite text")] {
        let version = seen + 1;
        replace(subject, "daily", seen, text, Replaced::Replaced { version }).await;
        expect(subject, "daily", version, text).await;
    }
}

/// Whoever has not seen the last version writes nothing.
pub async fn a_stale_replacement_writes_nothing<S: CarryOverStore>(subject: &Subject<S>) {
    replace(subject, "daily", 0, "a", Replaced::Replaced { version: 1 }).await;
    replace(subject, "daily", 1, "b", Replaced::Replaced { version: 2 }).await;
    for seen in [0, 1, 3, u64::MAX] {
        replace(subject, "daily", seen, "c", Replaced::Stale { version: 2 }).await;
    }
    expect(subject, "daily", 2, "b").await;
}

/// A replacement whose answer was lost may be asked again, and is not written twice.
pub async fn a_lost_replacement_is_recognised<S: CarryOverStore>(subject: &Subject<S>) {
    replace(subject, "daily", 0, "a", Replaced::Replaced { version: 1 }).await;
    replace(subject, "daily", 0, "a", Replaced::Replaced { version: 1 }).await;
    expect(subject, "daily", 1, "a").await;
}

/// What one run leaves is no other run's.
pub async fn runs_do_not_touch_each_other<S: CarryOverStore>(subject: &Subject<S>) {
    replace(subject, "daily", 0, "a", Replaced::Replaced { version: 1 }).await;
    replace(subject, "Daily", 0, "b", Replaced::Replaced { version: 1 }).await;
    expect(subject, "daily", 1, "a").await;
    expect(subject, "Daily", 1, "b").await;
}

/// Of many that replace the same version at one moment, one wins; the others are told which version is there now.
pub async fn of_two_replacements_at_one_moment_one_wins<S: CarryOverStore>(subject: &Subject<S>) {
    let answers = subject
        .together(8, |store, number| async move {
            let body: Arc<[u8]> = number.to_string().as_bytes().into();
            ask!(store.replace("daily", 0, body))
        })
        .await;
    let won = answers
        .iter()
        .filter(|answer| **answer == Replaced::Replaced { version: 1 })
        .count();
    let lost = answers
        .iter()
        .filter(|answer| **answer == Replaced::Stale { version: 1 })
        .count();
    assert_eq!((won, lost), (1, 7), "{answers:?}");
}
