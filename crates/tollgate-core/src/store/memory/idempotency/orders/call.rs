//! What callers ask, what they are told, and the rule for it.

use super::*;
use std::collections::BTreeMap;

/// What a caller does.
#[derive(Clone, Debug)]
pub(super) enum Call {
    Begin(Begin),
    Arm(Token),
    Renew(Token),
    Settle(Token, Settlement),
    Resolve(Resolve),
    Get(RecordKey),
    Sweep,
    Collect,
    /// Time passes.
    Passes(i64),
}

/// What it is told.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Told {
    Begun(Begun),
    Held(Held),
    Settled(Settled),
    Resolved(Resolved),
    Record(Option<Record>),
    Changed(u64),
}

impl Call {
    /// Which records it is about: one, or all of them.
    pub(super) fn key(&self) -> Option<RecordKey> {
        match self {
            Self::Begin(begin) => Some(begin.key),
            Self::Arm(token) | Self::Renew(token) | Self::Settle(token, _) => Some(token.key),
            Self::Resolve(resolve) => Some(resolve.key),
            Self::Get(key) => Some(*key),
            Self::Sweep | Self::Collect | Self::Passes(_) => None,
        }
    }

    /// The rule for one record.
    pub(super) fn decide(
        &self,
        record: Option<&Record>,
        open: impl FnOnce() -> u32,
        now: Timestamp,
    ) -> (Change, Told) {
        fn told<T>((change, answer): (Change, T), told: fn(T) -> Told) -> (Change, Told) {
            (change, told(answer))
        }
        let each = |decide: &dyn Fn(&Record) -> Change| {
            let change = record.map_or(Change::Keep, decide);
            let changed = u64::from(change != Change::Keep);
            (change, Told::Changed(changed))
        };
        match self {
            Self::Begin(begin) => told(rule::begin_within(record, begin, open, now), Told::Begun),
            Self::Arm(token) => told(rule::arm(record, token, LEASE, now), Told::Held),
            Self::Renew(token) => told(rule::renew(record, token, LEASE, now), Told::Held),
            Self::Settle(token, how) => told(rule::settle(record, token, how, now), Told::Settled),
            Self::Resolve(resolve) => told(rule::resolve(record, resolve, now), Told::Resolved),
            Self::Get(_) => (Change::Keep, Told::Record(record.cloned())),
            Self::Sweep => each(&|record| rule::sweep(record, now)),
            Self::Collect => each(&|record| rule::collect(record, SECOND, now)),
            Self::Passes(_) => (Change::Keep, Told::Changed(0)),
        }
    }
}

impl Told {
    /// How many records.
    pub(super) fn changed(&self) -> u64 {
        match self {
            Self::Changed(changed) => *changed,
            _ => unreachable!("asked of all records"),
        }
    }
}

/// The rule without a lock: what a sequential order comes to.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Rule {
    pub(super) seconds: i64,
    pub(super) records: BTreeMap<RecordKey, Record>,
}

impl Sequential for Rule {
    type Call = Call;
    type Told = Told;

    fn does(&mut self, call: &Call) -> Told {
        if let Call::Passes(seconds) = call {
            self.seconds += seconds;
        }
        let Some(key) = call.key() else {
            let keys: Vec<_> = self.records.keys().copied().collect();
            return Told::Changed(keys.iter().map(|key| self.step(*key, call).changed()).sum());
        };
        self.step(key, call)
    }
}

impl Rule {
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

    /// How many doubts there are.
    pub(super) fn open(&self) -> u32 {
        let open = self
            .records
            .values()
            .filter(|record| doubtful_of(record) == Some(TENANT));
        open.count().try_into().unwrap()
    }
}
