//! What is kept of a record, whole and exact: a store has the rule right and loses it in a column.

use super::{acquire, answer, begin, record, settle};
use crate::conformance::Subject;
use std::time::Duration;
use tollgate_core::store::idempotency::{
    Begin, Begun, Fingerprint, Held, IdempotencyStore, Owner, RecordKey, Settled, Settlement, Token,
};

/// Every time is the store's own, and kept to the microsecond: what is written in seconds or milliseconds lapses early, or late.
pub async fn times_are_kept_to_the_microsecond<S: IdempotencyStore>(subject: &Subject<S>) {
    let odd = |micros| subject.unit().saturating_add(Duration::from_micros(micros));
    let asked = Begin {
        lease: odd(1_234_567),
        retention: odd(7_654_321),
        arm: true,
        ..begin(subject, 1, 7)
    };
    // not at a whole second
    subject.pass_for(Duration::from_micros(1_001_001)).await;
    let before = ask!(subject.store().now());
    let token = acquire(subject, asked).await;
    let after = ask!(subject.store().now());
    let claimed = record(subject, 1).await;
    assert!(
        (before..=after).contains(&claimed.changed_at),
        "claimed between {before:?} and {after:?}, and written down as {:?}",
        claimed.changed_at
    );
    assert_eq!(
        claimed.lease_until,
        claimed.changed_at.saturating_add(asked.lease)
    );
    assert_eq!(claimed.retention, asked.retention);
    assert_eq!(ask!(subject.store().renew(token, odd(3_333_333))), Held::Held);
    let lease = record(subject, 1).await.lease_until.since(before);
    assert!(
        lease >= odd(3_333_333),
        "renewed for {:?}: {lease:?}",
        odd(3_333_333)
    );
    settle(
        subject,
        token,
        &Settlement::Completed(answer(b"done")),
        Settled::Applied,
    )
    .await;
    let done = record(subject, 1).await;
    assert_eq!(
        done.expires_at,
        Some(done.changed_at.saturating_add(asked.retention))
    );
}

/// Names are kept and compared whole: a key, a request or an owner that differs in one byte, whichever, is another one. (A column that
/// is too short, a prefix, a number of 64 bits for one of 128: money of two callers under one record.)
pub async fn every_byte_of_a_name_counts<S: IdempotencyStore>(subject: &Subject<S>) {
    let first = begin(subject, 1, u128::from_be_bytes(*b"an owner's name!"));
    let token = acquire(subject, first).await;
    for place in 0..32 {
        let mut other = *first.key.as_bytes();
        other[place] ^= 0xff;
        let apart = Begin {
            key: RecordKey::new(other),
            owner: Owner(8),
            ..first
        };
        let begun = ask!(subject.store().begin(apart));
        assert!(
            matches!(begun, Begun::Acquired(other) if other.key == apart.key && other.epoch == 1),
            "a key that differs in byte {place} is free: {begun:?}"
        );
        let mut other = *first.fingerprint.as_bytes();
        other[place] ^= 0xff;
        let reused = Begin {
            fingerprint: Fingerprint::new(other),
            ..first
        };
        assert_eq!(
            ask!(subject.store().begin(reused)),
            Begun::Mismatch,
            "a request that differs in byte {place} is another"
        );
    }
    for place in 0..16 {
        let other = Owner(token.owner.0 ^ 0xff << (8 * place));
        let begun = ask!(subject.store().begin(Begin {
            owner: other,
            ..first
        }));
        assert!(
            matches!(begun, Begun::InFlight { .. }),
            "an owner that differs in byte {place} holds nothing: {begun:?}"
        );
        let stale = Token {
            owner: other,
            ..token
        };
        assert_eq!(
            ask!(subject.store().arm(stale, subject.unit())),
            Held::Fenced,
            "an owner that differs in byte {place} arms nothing"
        );
    }
    let found = record(subject, 1).await;
    assert_eq!((found.fingerprint, found.owner), (first.fingerprint, first.owner));
}
