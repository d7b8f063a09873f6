//! Who wins when many ask at once.

use super::{acquire, answer, begin, key, reach, record, resolution};
use crate::conformance::Subject;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use tollgate_core::store::idempotency::{
    Begin, Begun, Held, IdempotencyStore, Owner, Phase, Resolution, Resolved, Settled, Settlement,
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

/// The lease lapses in the very moment in which its owner arms, and others ask: the owner may send, or one of them has the claim, and
/// never both. (Looking whether the lease is alive is one step with arming: `SELECT`, then an `UPDATE` that does not look again, sends
/// twice.)
pub async fn a_claim_that_lapses_while_it_arms_goes_to_one<S: IdempotencyStore>(subject: &Subject<S>) {
    for number in 1..=32u8 {
        let brief = Begin {
            lease: subject.unit() / 10,
            ..begin(subject, number, 100)
        };
        let token = acquire(subject, brief).await;
        let (time, unit) = (subject.time(), subject.unit());
        let successor = Begin {
            lease: unit * 100,
            ..brief
        };
        let armed = Arc::new(AtomicBool::new(false));
        let took = subject
            .together(4, |store, task| {
                let (time, armed) = (Arc::clone(&time), Arc::clone(&armed));
                async move {
                    match task {
                        0 => {
                            dawdle(&*store, number / 4).await;
                            let held = ask!(store.arm(token, unit * 100));
                            armed.store(true, Ordering::SeqCst);
                            held == Held::Held
                        }
                        1 => {
                            dawdle(&*store, number % 8).await;
                            time.pass(unit / 5).await;
                            false
                        }
                        _ => takes_over(&*store, successor, task, &armed).await,
                    }
                }
            })
            .await;
        let owners = took.iter().filter(|has| **has).count();
        assert!(
            owners <= 1,
            "key {number}: {owners} own it, in the order owner, -, others: {took:?}"
        );
        let found = record(subject, number).await;
        if took[0] {
            assert_eq!(
                (found.phase, found.epoch),
                (Phase::Armed, 1),
                "key {number}: its owner may send"
            );
        }
    }
}

/// Lets time pass as this store's time does: by asking it something.
async fn dawdle<S: IdempotencyStore>(store: &S, times: u8) {
    for _ in 0..times {
        ask!(store.get(key(0)));
        tokio::task::yield_now().await;
    }
}

/// Asks for a claim until its owner has armed it, or found that it could not, and once more.
async fn takes_over<S: IdempotencyStore>(store: &S, asked: Begin, owner: u8, armed: &AtomicBool) -> bool {
    let owner = Owner(owner.into());
    loop {
        let last = armed.load(Ordering::SeqCst);
        match ask!(store.begin(Begin { owner, ..asked })) {
            Begun::Acquired(_) => return true,
            _ if last => return false,
            _ => tokio::task::yield_now().await,
        }
    }
}

/// The owner comes back with its answer in the moment in which somebody resolves the doubt with another: one of them is told that it
/// decided, and its answer is the one that stands.
pub async fn an_owner_and_evidence_never_both_end_a_doubt<S: IdempotencyStore>(subject: &Subject<S>) {
    for number in 1..=32 {
        let token = reach(subject, number, 7, Phase::Unknown).await;
        let looked_up = Resolution::Completed(answer(b"looked up"));
        let evidence = resolution(subject, token, looked_up).await;
        let decided = subject
            .together(2, |store, task| {
                let evidence = evidence.clone();
                async move {
                    // now the one is ahead, now the other
                    dawdle(&*store, if task == 0 { number % 4 } else { number / 4 % 4 }).await;
                    if task == 0 {
                        let own = Settlement::Completed(answer(b"its own"));
                        ask!(store.settle(token, &own)) == Settled::Applied
                    } else {
                        ask!(store.resolve(evidence)) == Resolved::Resolved
                    }
                }
            })
            .await;
        let stands = record(subject, number).await.completion;
        let expected = match decided[..] {
            [true, false] => answer(b"its own"),
            [false, true] => answer(b"looked up"),
            _ => panic!("key {number}: owner and evidence, who decided: {decided:?}"),
        };
        assert_eq!(
            stands,
            Some(expected),
            "key {number}: owner and evidence, who decided: {decided:?}"
        );
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
