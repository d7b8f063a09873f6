//! The store, as it locks and as it must not.

use super::*;

/// How the store locks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Locks {
    AsTheyAre,
    /// Wrong: a lock for reading the record, and another time for writing it.
    ReadThenWrite,
    /// Wrong: doubts are counted after the record's lock is given back.
    CountLater,
    /// Wrong: it is now before the lock is taken. Ours did so until `loom` found it.
    ClockFirst,
}

#[derive(Clone)]
pub(super) struct Store {
    pub(super) store: MemoryIdempotency,
    hands: Hands,
    locks: Locks,
}

impl Store {
    pub(super) fn new(locks: Locks) -> Self {
        Self::with_room_for(locks, 100)
    }

    pub(super) fn with_room_for(locks: Locks, records: usize) -> Self {
        let hands = Hands::default();
        let store = MemoryIdempotency::with(records, hands.clone());
        Self { store, hands, locks }
    }

    fn does_rightly(&self, call: &Call) -> Told {
        fn now<T>(answer: Ready<Result<T, StoreError>>) -> T {
            answer.into_inner().unwrap()
        }
        match call.clone() {
            Call::Begin(begin) => Told::Begun(now(self.store.begin(begin))),
            Call::Arm(token) => Told::Held(now(self.store.arm(token, LEASE))),
            Call::Renew(token) => Told::Held(now(self.store.renew(token, LEASE))),
            Call::Settle(token, how) => Told::Settled(now(self.store.settle(token, &how))),
            Call::Resolve(resolve) => Told::Resolved(now(self.store.resolve(resolve))),
            Call::Get(key) => Told::Record(now(self.store.get(key))),
            Call::Sweep => Told::Changed(now(self.store.sweep(u32::MAX))),
            Call::Collect => Told::Changed(now(self.store.collect(SECOND, u32::MAX))),
            Call::Passes(seconds) => {
                self.hands.pass(seconds);
                Told::Changed(0)
            }
        }
    }

    fn does_wrongly(&self, call: &Call, key: RecordKey) -> Told {
        let shared = &self.store.0;
        let place = &shared.shards[shard_of(&key)];
        let early = (self.locks == Locks::ClockFirst).then(|| self.hands.now());
        let shard = lock(place);
        let now = early.unwrap_or_else(|| self.hands.now());
        let before = shard.place_of(&key).and_then(|place| shard.at(place)).cloned();
        let held = (self.locks != Locks::ReadThenWrite).then_some(shard);
        let (change, told) = call.decide(before.as_ref(), || shared.open_of(TENANT), now);
        let mut shard = held.unwrap_or_else(|| lock(place));
        let before = before.as_ref().and_then(doubtful_of);
        let after = match &change {
            Change::Keep => return told,
            Change::Put(record) => doubtful_of(record),
            Change::Remove => None,
        };
        if self.locks != Locks::CountLater {
            shared.recount(before, after);
        }
        write(&mut shard, key, change);
        drop(shard);
        if self.locks == Locks::CountLater {
            shared.recount(before, after);
        }
        told
    }
}

impl Locked for Store {
    type Rule = Rule;

    fn does(&self, call: &Call) -> Told {
        match call.key() {
            Some(key) if self.locks != Locks::AsTheyAre => self.does_wrongly(call, key),
            _ => self.does_rightly(call),
        }
    }

    /// With as many doubts counted as there are.
    fn end(&self) -> Rule {
        let shards = self.store.0.shards.iter();
        let records = shards.flat_map(|shard| {
            let shard = lock(shard);
            let all: Vec<_> = shard.iter().map(|(key, record)| (*key, record.clone())).collect();
            all
        });
        let end = Rule {
            seconds: self.hands.seconds(),
            records: records.collect(),
        };
        assert_eq!(self.store.0.open_of(TENANT), end.open(), "the count of doubts");
        end
    }
}

fn write(shard: &mut Shard, key: RecordKey, change: Change) {
    match change {
        Change::Keep => {}
        Change::Put(record) => {
            let place = shard.place_of(&key);
            shard.put(key, place, record);
        }
        Change::Remove => shard.remove(&key),
    }
}
