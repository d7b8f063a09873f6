//! Who wins when many ask at once.

use super::{acquire, answer, begin, record};
use crate::conformance::Subject;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tollgate_core::store::idempotency::{
    Begin, Begun, Held, IdempotencyStore, Owner, Phase, Settled, Settlement,
};

/// Of many who begin at one moment, one gets the key; the others are told to wait.
pub async fn one_of_many_begins_wins<S: IdempotencyStore>(subject: &Subject<S>) {
    for number in 1..=8 {
        let first = begin(subject, number, 0);
        let answers = subject
            .together(16, |store, owner| async move {
                ask!(store.begin(Begin {
                    owner: Owner(u128::from(owner)),
                    ..first
                }))
            })
            .await;
        let won = answers
            .iter()
            .filter(|begun| matches!(begun, Begun::Acquired(_)))
            .count();
        let waiting = answers
            .iter()
            .filter(|begun| matches!(begun, Begun::InFlight { .. }))
            .count();
        assert_eq!((won, waiting), (1, 15), "key {number}");
        assert_eq!(record(subject, number).await.epoch, 1);
    }
}

/// When a lease lapses, the owner that wants to arm and those that want to take over meet: at most one of them may send.
pub async fn an_owner_and_its_successor_never_both_arm<S: IdempotencyStore>(subject: &Subject<S>) {
    for number in 1..=8 {
        let old = acquire(subject, begin(subject, number, 100)).await;
        subject.pass(1).await;
        let (again, unit) = (begin(subject, number, 0), subject.unit());
        let may_send = subject
            .together(8, |store, owner| async move {
                let token = if owner == number % 8 {
                    old
                } else {
                    let owner = Owner(u128::from(owner));
                    match ask!(store.begin(Begin { owner, ..again })) {
                        Begun::Acquired(token) => token,
                        _ => return false,
                    }
                };
                tokio::task::yield_now().await;
                ask!(store.arm(token, unit)) == Held::Held
            })
            .await;
        let senders = may_send.iter().filter(|may| **may).count();
        assert_eq!(senders, 1, "key {number}");
    }
}

/// Many callers with one key, some of whose attempts are turned away at the door: one effect, and everybody ends with its answer.
pub async fn one_effect_under_contention<S: IdempotencyStore>(subject: &Subject<S>) {
    let (effects, attempts) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let (first, unit) = (begin(subject, 1, 0), subject.unit());
    let answers = subject
        .together(16, |store, caller| {
            let (effects, attempts) = (Arc::clone(&effects), Arc::clone(&attempts));
            async move {
                for round in 0..10_000u128 {
                    let owner = Owner(u128::from(caller) << 64 | round);
                    match ask!(store.begin(Begin { owner, ..first })) {
                        Begun::Acquired(token) => {
                            if ask!(store.arm(token, unit)) == Held::Fenced {
                                continue;
                            }
                            // the first three attempts never reach the peer
                            let settlement = if attempts.fetch_add(1, Ordering::SeqCst) < 3 {
                                Settlement::Released
                            } else {
                                effects.fetch_add(1, Ordering::SeqCst);
                                Settlement::Completed(answer(b"done"))
                            };
                            tokio::task::yield_now().await;
                            assert_eq!(ask!(store.settle(token, &settlement)), Settled::Applied);
                        }
                        Begun::Replay(completion) => return Some(completion),
                        Begun::InFlight { .. } => tokio::task::yield_now().await,
                        other => panic!("{other:?}"),
                    }
                }
                None
            }
        })
        .await;
    assert_eq!(effects.load(Ordering::SeqCst), 1, "effects");
    assert!(
        answers.iter().all(|found| *found == Some(answer(b"done"))),
        "everybody ends with the one answer"
    );
    let found = record(subject, 1).await;
    assert_eq!((found.phase, found.epoch), (Phase::Completed, 4));
}
