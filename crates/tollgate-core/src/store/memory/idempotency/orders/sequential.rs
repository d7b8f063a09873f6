//! The rule without a lock: whether an order of calls explains what was seen.

use super::*;
use std::collections::BTreeMap;

/// The rule without a lock: what a sequential order comes to.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sequential {
    pub(super) seconds: i64,
    pub(super) records: BTreeMap<RecordKey, Record>,
}

impl Sequential {
    pub(super) fn does(&mut self, call: &Call) -> Told {
        if let Call::Passes(seconds) = call {
            self.seconds += seconds;
        }
        let Some(key) = call.key() else {
            let keys: Vec<_> = self.records.keys().copied().collect();
            return Told::Changed(keys.iter().map(|key| self.step(*key, call).changed()).sum());
        };
        self.step(key, call)
    }

    fn step(&mut self, key: RecordKey, call: &Call) -> Told {
        let now = Timestamp::from_unix_seconds(self.seconds);
        let open = || self.open();
        let (change, told) = call.decide(self.records.get(&key), open, now);
        match change {
            Change::Keep => {}
            Change::Put(record) => drop(self.records.insert(key, record)),
            Change::Remove => drop(self.records.remove(&key)),
        }
        told
    }

    pub(super) fn open(&self) -> u32 {
        let open = self
            .records
            .values()
            .filter(|record| doubtful_of(record) == Some(TENANT));
        open.count().try_into().unwrap()
    }

    /// Whether what is left of each caller can be put behind this, in some order.
    pub(super) fn explains(&self, left: &[&[Done]], end: &Self) -> bool {
        if left.iter().all(|done| done.is_empty()) {
            return self == end;
        }
        let heads = || left.iter().filter_map(|done| done.first());
        (0..left.len()).any(|caller| {
            let Some((done, rest)) = left[caller].split_first() else {
                return false;
            };
            // nothing that was answered before this was asked may come behind it
            let in_time = heads().all(|other| other.answered >= done.asked);
            let mut next = self.clone();
            in_time && next.does(&done.call) == done.told && {
                let mut left = left.to_vec();
                left[caller] = rest;
                next.explains(&left, end)
            }
        })
    }
}

/// A call that is over: when it was asked and answered, by a count that `loom` does not see and takes no turns for.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) call: Call,
    pub(super) asked: usize,
    pub(super) told: Told,
    pub(super) answered: usize,
}
