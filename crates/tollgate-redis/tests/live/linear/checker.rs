//! Whether a history could have been: a search for one order of all operations that explains every answer (Wing and Gong's method,
//! with Lowe's memory of where it has been).

use super::history::{Op, essence, expect};
use std::collections::HashSet;
use std::time::Duration;
use tollgate_core::Timestamp;
use tollgate_core::store::idempotency::Record;

/// One operation as its client saw it. Tickets order what did not overlap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) op: Op,
    /// Drawn before it was asked, and after it was answered.
    pub(crate) from: u64,
    pub(crate) to: u64,
    /// `None`: the answer was lost. It happened before `to`, or never.
    pub(crate) answer: Option<String>,
}

struct Search<'h> {
    clients: &'h [Vec<Event>],
    been: HashSet<(Vec<usize>, String)>,
    /// The longest explanation so far, and where it ended.
    deepest: (usize, String),
}

/// # Errors
/// How far an explanation comes, and what nobody can explain.
pub(crate) fn check(clients: &[Vec<Event>]) -> Result<(), String> {
    let mut search = Search {
        clients,
        been: HashSet::new(),
        deepest: (0, String::new()),
    };
    let start = Timestamp::from_unix_seconds(1_700_000_000);
    if search.explains(&mut vec![0; clients.len()], None, start) {
        return Ok(());
    }
    let total: usize = clients.iter().map(Vec::len).sum();
    let (explained, stuck) = search.deepest;
    Err(format!(
        "{explained} of {total} operations can be explained, then: {stuck}"
    ))
}

impl Search<'_> {
    fn explains(&mut self, done: &mut Vec<usize>, record: Option<&Record>, now: Timestamp) -> bool {
        let next: Vec<(usize, &Event)> = (0..done.len())
            .filter_map(|client| Some((client, self.clients[client].get(done[client])?)))
            .collect();
        // what begins after something else has ended cannot come before it
        let Some(first_end) = next.iter().map(|(_, event)| event.to).min() else {
            return true;
        };
        if !self.been.insert((done.clone(), essence(record, now))) {
            return false;
        }
        let depth = done.iter().sum();
        if depth >= self.deepest.0 {
            self.deepest = (depth, format!("{} before {next:?}", essence(record, now)));
        }
        // each operation takes a second of the rule's time: what lapses at once has lapsed by the next
        let now = now.saturating_add(Duration::from_secs(1));
        for (client, event) in next.into_iter().filter(|(_, event)| event.from <= first_end) {
            let (after, answer) = expect(record, event.op, now);
            done[client] += 1;
            if event.answer.as_ref().is_none_or(|told| *told == answer)
                && self.explains(done, after.as_ref(), now)
            {
                return true;
            }
            if event.answer.is_none() && self.explains(done, record, now) {
                return true;
            }
            done[client] -= 1;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linear::history::Dice;

    fn event(op: Op, from: u64, to: u64, answer: Option<&str>) -> Event {
        Event {
            op,
            from,
            to,
            answer: answer.map(Into::into),
        }
    }

    const BEGIN: Op = Op::Begin {
        fingerprint: 0,
        owner: 1,
        lapses: false,
        arm: true,
    };
    const OTHER: Op = Op::Begin {
        fingerprint: 0,
        owner: 2,
        lapses: false,
        arm: true,
    };

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
            assert_eq!(check(&clients), Ok(()), "seed {seed}");
        }
    }

    #[test]
    fn two_winners_are_not() {
        let clients = [
            vec![event(BEGIN, 1, 10, Some("acquired 1 1"))],
            vec![event(OTHER, 2, 9, Some("acquired 1 2"))],
        ];
        assert!(check(&clients).unwrap_err().starts_with("1 of 2"));
    }

    #[test]
    fn what_was_acknowledged_is_not_gone() {
        let begun = event(BEGIN, 1, 2, Some("acquired 1 1"));
        let gone = event(Op::Get, 3, 4, Some("none"));
        assert!(check(&[vec![begun.clone(), gone.clone()]]).is_err());
        // while both are on their way, either may come first
        let meanwhile = Event { from: 1, ..gone };
        assert_eq!(check(&[vec![begun], vec![meanwhile]]), Ok(()));
    }

    #[test]
    fn what_was_lost_may_have_happened_or_not_but_not_later() {
        let lost = event(BEGIN, 1, 4, None);
        let get = |from, answer| event(Op::Get, from, from + 1, Some(answer));
        let armed = "Armed 1 1 0 None  ";
        for answers in [[get(5, "none"), get(7, "none")], [get(5, armed), get(7, armed)]] {
            assert_eq!(check(&[vec![lost.clone()], answers.to_vec()]), Ok(()));
        }
        for answers in [[get(5, "none"), get(7, armed)], [get(5, armed), get(7, "none")]] {
            assert!(check(&[vec![lost.clone()], answers.to_vec()]).is_err());
        }
    }
}
