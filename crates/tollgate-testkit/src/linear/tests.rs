//! What the search explains, and what it does not.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::expect::expect;
use super::op::{Dice, What};
use super::*;
use tollgate_core::Timestamp;

fn event(op: Op, from: u64, to: u64, answer: Option<&str>) -> Event {
    Event {
        op,
        from,
        to,
        answer: answer.map(Into::into),
    }
}

const BEGIN: Op = Op(What::Begin {
    fingerprint: 0,
    owner: 1,
    lapses: false,
    arm: true,
});
const OTHER: Op = Op(What::Begin {
    fingerprint: 0,
    owner: 2,
    lapses: false,
    arm: true,
});

/// Random histories of the rule itself, with everything overlapping, are explained.
#[test]
fn what_the_rule_does_is_explained() {
    for seed in 0..50 {
        let (mut dice, mut record) = (Dice(seed), None);
        let mut clients = vec![Vec::new(); 4];
        for at in 0..60u64 {
            let op = dice.op();
            let now = Timestamp::from_unix_seconds(i64::try_from(at).unwrap());
            let (after, answer) = expect(record.as_ref(), op, now);
            record = after;
            let client = usize::try_from(dice.roll(4)).unwrap();
            let lost = dice.roll(10) == 0;
            let overlap = dice.roll(8);
            clients[client].push(event(
                op,
                (at * 4).saturating_sub(overlap),
                at * 4 + overlap,
                (!lost).then_some(&answer),
            ));
        }
        assert_eq!(explain(&clients), Ok(()), "seed {seed}");
    }
}

#[test]
fn two_winners_are_not() {
    let clients = [
        vec![event(BEGIN, 1, 10, Some("acquired 1 1"))],
        vec![event(OTHER, 2, 9, Some("acquired 1 2"))],
    ];
    assert!(explain(&clients).unwrap_err().to_string().starts_with("1 of 2"));
}

#[test]
fn what_was_acknowledged_is_not_gone() {
    let begun = event(BEGIN, 1, 2, Some("acquired 1 1"));
    let gone = event(Op(What::Get), 3, 4, Some("none"));
    assert!(explain(&[vec![begun.clone(), gone.clone()]]).is_err());
    // while both are on their way, either may come first
    let meanwhile = Event { from: 1, ..gone };
    assert_eq!(explain(&[vec![begun], vec![meanwhile]]), Ok(()));
}

#[test]
fn what_was_lost_may_have_happened_or_not_but_not_later() {
    let lost = event(BEGIN, 1, 4, None);
    let get = |from, answer| event(Op(What::Get), from, from + 1, Some(answer));
    let armed = "Armed 1 1 0 None  ";
    for answers in [[get(5, "none"), get(7, "none")], [get(5, armed), get(7, armed)]] {
        assert_eq!(explain(&[vec![lost.clone()], answers.to_vec()]), Ok(()));
    }
    for answers in [[get(5, "none"), get(7, armed)], [get(5, armed), get(7, "none")]] {
        assert!(explain(&[vec![lost.clone()], answers.to_vec()]).is_err());
    }
}
