//! What a quota store must keep: never more than agreed, and a truthful "when".

use crate::conformance::Subject;
use std::num::NonZeroU32;
use std::time::Duration;
use tollgate_core::store::quota::{Quota, QuotaKey, QuotaStore, Take, Taken};

properties! {
    /// Makes a module of tests out of every property of [`conformance::quota`](crate::conformance::quota): give the module's name
    /// and an expression that makes a [`Subject`](crate::conformance::Subject) with an empty store.
    quota_conformance, each_quota_property, quota:
    no_more_than_the_burst_at_once,
    units_come_back_one_by_one,
    a_pause_earns_no_more_than_the_burst,
    a_refusal_says_when,
    a_refusal_takes_nothing,
    all_quotas_or_none,
    two_takes_of_one_key_see_each_other,
    a_cost_that_never_fits_says_so,
    what_is_given_back_can_be_taken_again,
    no_more_is_given_back_than_was_taken,
    quotas_do_not_touch_each_other,
    many_takers_share_one_quota,
}

/// `burst` units at once, and one more per unit of time.
fn take<S: Send + Sync + 'static>(subject: &Subject<S>, number: u8, burst: u32, cost: u32) -> Take {
    let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
    Take {
        key: QuotaKey([number; 32]),
        quota: Quota::new(NonZeroU32::MIN, subject.unit()).burst(burst),
        cost,
    }
}

async fn granted<S: QuotaStore>(subject: &Subject<S>, takes: &[Take]) -> u32 {
    match ask!(subject.store().take(takes)) {
        Taken::Granted { remaining, .. } => remaining,
        refused @ Taken::Refused { .. } => panic!("{refused:?}"),
    }
}

async fn refused<S: QuotaStore>(subject: &Subject<S>, takes: &[Take]) -> (usize, Duration) {
    match ask!(subject.store().take(takes)) {
        Taken::Refused { index, retry_after } => (index, retry_after),
        granted @ Taken::Granted { .. } => panic!("{granted:?}"),
    }
}

/// The burst can be taken at once, and nothing more.
pub async fn no_more_than_the_burst_at_once<S: QuotaStore>(subject: &Subject<S>) {
    let one = take(subject, 1, 3, 1);
    for left in [2, 1, 0] {
        assert_eq!(granted(subject, &[one]).await, left);
    }
    refused(subject, &[one]).await;
}

/// After the burst, one unit per interval.
pub async fn units_come_back_one_by_one<S: QuotaStore>(subject: &Subject<S>) {
    granted(subject, &[take(subject, 1, 3, 3)]).await;
    for _ in 0..3 {
        refused(subject, &[take(subject, 1, 3, 1)]).await;
        subject.pass(1).await;
        granted(subject, &[take(subject, 1, 3, 1)]).await;
    }
}

/// However long nobody asks: never more than the burst.
pub async fn a_pause_earns_no_more_than_the_burst<S: QuotaStore>(subject: &Subject<S>) {
    granted(subject, &[take(subject, 1, 2, 2)]).await;
    subject.pass(20).await;
    granted(subject, &[take(subject, 1, 2, 2)]).await;
    refused(subject, &[take(subject, 1, 2, 1)]).await;
}

/// The wait that a refusal names is long enough, not zero, and no longer than the interval.
pub async fn a_refusal_says_when<S: QuotaStore>(subject: &Subject<S>) {
    granted(subject, &[take(subject, 1, 1, 1)]).await;
    let (index, retry_after) = refused(subject, &[take(subject, 1, 1, 1)]).await;
    assert_eq!(index, 0);
    assert!(
        !retry_after.is_zero() && retry_after <= subject.unit(),
        "{retry_after:?}"
    );
    subject.pass(1).await;
    granted(subject, &[take(subject, 1, 1, 1)]).await;
}

/// Asking in vain costs nothing.
pub async fn a_refusal_takes_nothing<S: QuotaStore>(subject: &Subject<S>) {
    granted(subject, &[take(subject, 1, 2, 1)]).await;
    for _ in 0..50 {
        refused(subject, &[take(subject, 1, 2, 2)]).await;
    }
    granted(subject, &[take(subject, 1, 2, 1)]).await;
}

/// When the second of two quotas says no, the first gives nothing; the refusal names the second.
pub async fn all_quotas_or_none<S: QuotaStore>(subject: &Subject<S>) {
    let (wide, narrow) = (take(subject, 1, 3, 1), take(subject, 2, 1, 1));
    granted(subject, &[wide, narrow]).await;
    for _ in 0..5 {
        assert_eq!(refused(subject, &[wide, narrow]).await.0, 1);
    }
    assert_eq!(
        granted(subject, &[wide]).await,
        1,
        "the refused takes took nothing from the wide quota"
    );
}

/// Two takes of one key in one question count twice.
pub async fn two_takes_of_one_key_see_each_other<S: QuotaStore>(subject: &Subject<S>) {
    let one = take(subject, 1, 3, 1);
    assert_eq!(granted(subject, &[one, one]).await, 1);
    assert_eq!(refused(subject, &[one, one]).await.0, 1);
    granted(subject, &[one]).await;
}

/// A cost above the burst is never granted, and the answer says "never", not "later".
pub async fn a_cost_that_never_fits_says_so<S: QuotaStore>(subject: &Subject<S>) {
    assert_eq!(
        refused(subject, &[take(subject, 1, 3, 4)]).await,
        (0, Duration::MAX)
    );
    granted(subject, &[take(subject, 1, 3, 3)]).await;
}

/// Units that were not used go back.
pub async fn what_is_given_back_can_be_taken_again<S: QuotaStore>(subject: &Subject<S>) {
    let all = take(subject, 1, 3, 3);
    granted(subject, &[all]).await;
    ask!(subject.store().give_back(take(subject, 1, 3, 2)));
    granted(subject, &[take(subject, 1, 3, 2)]).await;
    refused(subject, &[take(subject, 1, 3, 1)]).await;
}

/// Giving back does not make credit, neither for a key in use nor for one that was never used.
pub async fn no_more_is_given_back_than_was_taken<S: QuotaStore>(subject: &Subject<S>) {
    granted(subject, &[take(subject, 1, 2, 1)]).await;
    for number in [1, 2] {
        for _ in 0..3 {
            ask!(subject.store().give_back(take(subject, number, 2, 2)));
        }
        granted(subject, &[take(subject, number, 2, 2)]).await;
        refused(subject, &[take(subject, number, 2, 1)]).await;
    }
}

/// What is taken from one key is taken from no other.
pub async fn quotas_do_not_touch_each_other<S: QuotaStore>(subject: &Subject<S>) {
    granted(subject, &[take(subject, 1, 2, 2)]).await;
    granted(subject, &[take(subject, 2, 2, 2)]).await;
    ask!(subject.store().give_back(take(subject, 2, 2, 2)));
    refused(subject, &[take(subject, 1, 2, 1)]).await;
}

/// However many ask at one moment, no more than the burst is given.
pub async fn many_takers_share_one_quota<S: QuotaStore>(subject: &Subject<S>) {
    let one = take(subject, 1, 5, 1);
    let answers = subject
        .together(32, |store, _| async move { ask!(store.take(&[one])) })
        .await;
    let granted = answers
        .iter()
        .filter(|taken| matches!(taken, Taken::Granted { .. }))
        .count();
    assert_eq!(granted, 5);
}
