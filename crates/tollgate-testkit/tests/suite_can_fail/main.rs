//! A suite that cannot fail proves nothing. Here every property meets stores that are broken on purpose, as stores in the field are:
//! each flaw must be caught by the properties named beside it, each property must catch at least one flaw, and a store without a flaw
//! must pass.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

/// The two tests of a port. Its module names the flaws, what each must violate, the one that no single client can see, and makes stores.
macro_rules! proves_itself {
    ($($name:ident,)+) => {
        #[test]
        fn every_flaw_is_caught_and_every_property_catches_one() {
            const PROPERTIES: &[crate::Property<Flaw>] = &[$((stringify!($name), |flaw| {
                crate::holds(async move {
                    let subject = tollgate_testkit::conformance::Subject::manual(|clock| store(flaw, clock));
                    suite::$name(&subject).await;
                })
            }),)+];
            crate::check(PROPERTIES, Flaw::None, FLAWS);
        }

        #[test]
        fn histories_find_every_flaw_that_one_client_can_see() {
            crate::found_by_histories(Flaw::None, FLAWS, UNSEEN, walk);
        }
    };
}

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
use tollgate_core::{Clock, Timestamp};
use tollgate_testkit::histories::Histories;

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

/// Walks histories over stores with these flaws: all must be found but those that `unseen` names, and nothing in a store without one.
pub(crate) fn found_by_histories<F: Copy + Debug + PartialEq>(
    sound: F,
    flaws: &[(F, &[&str])],
    unseen: &[F],
    walk: impl Fn(&Histories, F),
) {
    // many, so that the rarest coincidence is among them, and the same ones each time
    let histories = Histories::new().cases(500).seed(1);
    walk(&histories, sound);
    for (flaw, _) in flaws {
        let walked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| walk(&histories, *flaw)));
        assert_eq!(walked.is_err(), !unseen.contains(flaw), "{flaw:?} found");
    }
}

/// Where others are asked meanwhile.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pause {
    Never,
    /// On the way to the store and back, as everywhere.
    OnTheWay,
    /// Between reading and writing.
    Within,
}

/// A store whose steps are atomic, or, with that pause, are not.
#[derive(Debug)]
pub(crate) struct Shelf<K, V> {
    rows: Arc<Mutex<HashMap<K, V>>>,
    clock: Arc<dyn Clock>,
    pub(crate) pause: Pause,
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
    pub(crate) fn new(clock: impl Clock, pause: Pause) -> Self {
        Self {
            rows: Arc::default(),
            clock: Arc::new(clock),
            pause,
        }
    }

    pub(crate) fn step<T: Send + 'static>(
        &self,
        key: K,
        decide: impl FnOnce(Option<&V>, Timestamp) -> (Next<V>, T) + Send + 'static,
    ) -> Boxed<T> {
        let (rows, clock, pause) = (Arc::clone(&self.rows), Arc::clone(&self.clock), self.pause);
        let stop = async move |here| {
            if pause == here {
                tokio::task::yield_now().await
            }
        };
        Box::pin(async move {
            stop(Pause::OnTheWay).await;
            let now = clock.now();
            let found = rows.lock().unwrap().get(&key).cloned();
            stop(Pause::Within).await;
            let (next, answer) = decide(found.as_ref(), now);
            match next {
                Next::Keep => None,
                Next::Put(row) => rows.lock().unwrap().insert(key, row),
                Next::Remove => rows.lock().unwrap().remove(&key),
            };
            stop(Pause::OnTheWay).await;
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
