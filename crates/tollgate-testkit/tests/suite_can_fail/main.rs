//! A suite that cannot fail proves nothing. Here every property meets stores that are broken on purpose, as stores in the field are:
//! each flaw must be caught by the properties named beside it, each property must catch at least one flaw, and a store without a flaw
//! must pass.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod audit;
mod carry_over;
mod dedup;
mod idempotency;
mod quota;
mod saga;
mod velocity;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Debug;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex};
use tollgate_core::store::{Boxed, StoreError};
use tollgate_core::{Clock, ManualClock, Timestamp};

/// A property's name, and whether a store with this flaw keeps it.
pub(crate) type Property<F> = (&'static str, fn(F) -> bool);

/// Runs a property on one thread, where what races takes turns at each await, the same way every time.
pub(crate) fn holds(property: impl Future<Output = ()> + Send + 'static) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async { tokio::spawn(property).await.is_ok() })
}

/// The flaws of a port and the properties that must catch them.
pub(crate) fn check<F: Copy + Debug>(properties: &[Property<F>], sound: F, flaws: &[(F, &[&str])]) {
    let violated = |flaw: F| -> BTreeSet<&str> {
        properties
            .iter()
            .filter(|(_, holds)| !holds(flaw))
            .map(|(name, _)| *name)
            .collect()
    };
    assert_eq!(violated(sound), BTreeSet::new(), "a store without a flaw passes");
    let mut caught = BTreeMap::<&str, Vec<F>>::new();
    for (flaw, expected) in flaws {
        let violated = violated(*flaw);
        for name in *expected {
            assert!(
                violated.contains(name),
                "{flaw:?} should violate {name}, and violates {violated:?}"
            );
        }
        for name in violated {
            caught.entry(name).or_default().push(*flaw);
        }
    }
    let toothless: Vec<_> = properties
        .iter()
        .filter(|(name, _)| !caught.contains_key(name))
        .map(|(name, _)| name)
        .collect();
    assert!(
        toothless.is_empty(),
        "these properties catch no flaw: {toothless:?}"
    );
}

/// A store whose steps are atomic, or, with that flaw, read and write with a pause in between.
#[derive(Debug)]
pub(crate) struct Shelf<K, V> {
    rows: Arc<Mutex<HashMap<K, V>>>,
    clock: ManualClock,
    torn: bool,
}

/// What a step does to a row.
pub(crate) enum Next<V> {
    Keep,
    Put(V),
    Remove,
}

impl<K, V> Shelf<K, V>
where
    K: Eq + Hash + Copy + Send + 'static,
    V: Clone + Send + 'static,
{
    pub(crate) fn new(clock: ManualClock, torn: bool) -> Self {
        Self {
            rows: Arc::default(),
            clock,
            torn,
        }
    }

    pub(crate) fn step<T: Send + 'static>(
        &self,
        key: K,
        decide: impl FnOnce(Option<&V>, Timestamp) -> (Next<V>, T) + Send + 'static,
    ) -> Boxed<T> {
        let (rows, now, torn) = (Arc::clone(&self.rows), self.clock.now(), self.torn);
        Box::pin(async move {
            let found = rows.lock().unwrap().get(&key).cloned();
            if torn {
                tokio::task::yield_now().await;
            }
            let (next, answer) = decide(found.as_ref(), now);
            match next {
                Next::Keep => None,
                Next::Put(row) => rows.lock().unwrap().insert(key, row),
                Next::Remove => rows.lock().unwrap().remove(&key),
            };
            Ok(answer)
        })
    }

    /// Every row, to look at or to change, at once.
    pub(crate) fn all<T: Send + 'static>(
        &self,
        look: impl FnOnce(&mut HashMap<K, V>, Timestamp) -> T,
    ) -> Boxed<T> {
        let answer: Result<T, StoreError> = Ok(look(&mut self.rows.lock().unwrap(), self.clock.now()));
        Box::pin(std::future::ready(answer))
    }
}
