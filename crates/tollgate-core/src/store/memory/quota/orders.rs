//! The locks of this store in every order: see [`orders`](crate::store::memory::orders). Who takes from several quotas holds several.

use super::super::orders::{Hands, Locked, Sequential, every_order};
use super::*;
use crate::store::quota::Quota;
use std::collections::BTreeMap;
use std::num::NonZeroU32;

/// Two keys under one lock, and one under another.
const KEY: QuotaKey = QuotaKey([0; 32]);
const BESIDE: QuotaKey = QuotaKey([2; 32]);
const ELSEWHERE: QuotaKey = QuotaKey([1; 32]);

/// What a caller does.
#[derive(Clone, Debug)]
enum Call {
    Take(Vec<Take>),
    GiveBack(Take),
    /// Time passes.
    Passes(i64),
}

/// The rule without a lock.
#[derive(Clone, Debug, Default, PartialEq)]
struct Rule {
    seconds: i64,
    arrivals: BTreeMap<QuotaKey, Timestamp>,
}

impl Sequential for Rule {
    type Call = Call;
    type Told = Option<Taken>;

    fn does(&mut self, call: &Call) -> Option<Taken> {
        let now = Timestamp::from_unix_seconds(self.seconds);
        match call {
            Call::Take(takes) => {
                let arrivals: Vec<_> = takes
                    .iter()
                    .map(|take| self.arrivals.get(&take.key).copied())
                    .collect();
                Some(match rule::take_all(&arrivals, takes, now) {
                    Ok((next, granted)) => {
                        self.arrivals.extend(takes.iter().map(|take| take.key).zip(next));
                        granted
                    }
                    Err(refused) => refused,
                })
            }
            Call::GiveBack(take) => {
                if let Some(arrival) = self.arrivals.get_mut(&take.key) {
                    *arrival = rule::give_back(*arrival, &take.quota, take.cost, now);
                }
                None
            }
            Call::Passes(seconds) => {
                self.seconds += seconds;
                None
            }
        }
    }
}

/// How the store locks.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Locks {
    AsTheyAre,
    /// Wrong: in the order in which the keys come.
    AsAsked,
    /// Wrong: one after the other, to look and then to write.
    OneAtATime,
}

#[derive(Clone)]
struct Store {
    store: MemoryQuota,
    hands: Hands,
    locks: Locks,
}

impl Store {
    fn new(locks: Locks) -> Self {
        let hands = Hands::default();
        let store = MemoryQuota::with(100, hands.clone());
        Self { store, hands, locks }
    }

    fn take_wrongly(&self, takes: &[Take]) -> Taken {
        let lock = |take: &Take| self.store.lock(shard_of(&take.key));
        let mut held: Vec<_> = match self.locks {
            Locks::AsAsked => takes.iter().map(lock).collect(),
            _ => Vec::new(),
        };
        let arrivals: Vec<_> = takes
            .iter()
            .enumerate()
            .map(|(at, take)| match held.get(at) {
                Some(shard) => shard.get(&take.key).copied(),
                None => lock(take).get(&take.key).copied(),
            })
            .collect();
        let (next, taken) = match rule::take_all(&arrivals, takes, self.hands.now()) {
            Ok(granted) => granted,
            Err(refused) => return refused,
        };
        for (at, (take, arrival)) in takes.iter().zip(next).enumerate() {
            match held.get_mut(at) {
                Some(shard) => shard.insert(take.key, arrival),
                None => lock(take).insert(take.key, arrival),
            };
        }
        taken
    }
}

impl Locked for Store {
    type Rule = Rule;

    fn does(&self, call: &Call) -> Option<Taken> {
        match call {
            Call::Take(takes) if self.locks == Locks::AsTheyAre => {
                Some(self.store.take(takes).into_inner().unwrap())
            }
            Call::Take(takes) => Some(self.take_wrongly(takes)),
            Call::GiveBack(take) => {
                self.store.give_back(*take).into_inner().unwrap();
                None
            }
            Call::Passes(seconds) => {
                self.hands.pass(*seconds);
                None
            }
        }
    }

    fn end(&self) -> Rule {
        let arrivals = (0..SHARDS).flat_map(|shard| self.store.lock(shard).clone());
        Rule {
            seconds: self.hands.seconds(),
            arrivals: arrivals.collect(),
        }
    }
}

/// Of a quota of one per second.
fn one(key: QuotaKey) -> Take {
    Take {
        key,
        quota: Quota::per_second(NonZeroU32::MIN),
        cost: 1,
    }
}

fn takes(keys: &[QuotaKey]) -> Call {
    Call::Take(keys.iter().map(|key| one(*key)).collect())
}

fn in_every_order(callers: &[&[Call]], more_than: usize) {
    let runs = every_order(|| Store::new(Locks::AsTheyAre), &[], callers);
    println!("{runs} runs");
    assert!(runs > more_than, "{runs} runs are not all");
}

/// Each takes from both or from none, and neither waits for what the other holds.
#[test]
fn two_take_from_both() {
    in_every_order(&[&[takes(&[KEY, ELSEWHERE])], &[takes(&[ELSEWHERE, KEY])]], 10);
}

/// One quota each, and both, under two locks and three keys.
#[test]
fn some_take_from_one_and_some_from_all() {
    let callers: &[&[Call]] = &[
        &[takes(&[KEY]), takes(&[BESIDE])],
        &[takes(&[BESIDE, ELSEWHERE, KEY])],
        &[takes(&[ELSEWHERE])],
    ];
    in_every_order(callers, 2_000);
}

/// What was taken is given back, and a quota becomes whole, while others take.
#[test]
fn a_unit_given_back_beside_two_that_take() {
    let callers: &[&[Call]] = &[
        &[takes(&[KEY]), Call::GiveBack(one(KEY))],
        &[takes(&[KEY, ELSEWHERE]), takes(&[KEY])],
        &[Call::Passes(1)],
    ];
    in_every_order(callers, 3_000);
}

/// Control: who locks in the order in which it is asked waits for who holds the other lock and waits for this one.
#[test]
#[should_panic(expected = "deadlock")]
fn control_a_store_that_locks_as_asked() {
    let callers: &[&[Call]] = &[&[takes(&[KEY, ELSEWHERE])], &[takes(&[ELSEWHERE, KEY])]];
    every_order(|| Store::new(Locks::AsAsked), &[], callers);
}

/// Control: who holds one lock at a time grants what another has taken meanwhile.
#[test]
#[should_panic(expected = "no sequential order does this")]
fn control_a_store_that_locks_one_at_a_time() {
    let callers: &[&[Call]] = &[&[takes(&[KEY, ELSEWHERE])], &[takes(&[KEY])]];
    every_order(|| Store::new(Locks::OneAtATime), &[], callers);
}
