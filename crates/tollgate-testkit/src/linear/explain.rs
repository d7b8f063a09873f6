//! Whether a history could have been: a search for one order of all operations that explains every answer (Wing and Gong's method,
//! with Lowe's memory of where it has been).

use super::Event;
use super::expect::{essence, expect};
use std::collections::HashSet;
use std::fmt;
use std::time::Duration;
use tollgate_core::Timestamp;
use tollgate_core::store::idempotency::Record;

struct Search<'h> {
    clients: &'h [Vec<Event>],
    been: HashSet<(Vec<usize>, String)>,
    /// The longest explanation so far, and where it ended.
    deepest: (usize, String),
}

/// No order of the operations explains what the clients were told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unexplained {
    /// How many operations the longest attempt could explain.
    pub explained: usize,
    /// How many there were.
    pub total: usize,
    /// How the record stood then, and what each client was told next.
    pub stuck: String,
}

impl fmt::Display for Unexplained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            explained,
            total,
            stuck,
        } = self;
        write!(
            f,
            "{explained} of {total} operations can be explained, then: {stuck}"
        )
    }
}

impl std::error::Error for Unexplained {}

/// Looks for one order of all that these clients were told about one record, each in its own order, in which core's rule gives every
/// answer. The record is absent at first.
///
/// # Errors
/// How far an explanation comes, and what nobody can explain.
pub fn explain(clients: &[Vec<Event>]) -> Result<(), Unexplained> {
    let mut search = Search {
        clients,
        been: HashSet::new(),
        deepest: (0, String::new()),
    };
    let start = Timestamp::from_unix_seconds(1_700_000_000);
    if search.explains(&mut vec![0; clients.len()], None, start) {
        return Ok(());
    }
    let (explained, stuck) = search.deepest;
    Err(Unexplained {
        explained,
        total: clients.iter().map(Vec::len).sum(),
        stuck,
    })
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
