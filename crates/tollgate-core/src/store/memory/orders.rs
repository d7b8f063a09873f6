//! Locks in every order.
//!
//! `loom` runs a handful of callers on threads of its own and lets them take turns at each lock, and at each look at the clock, in every
//! way there is. After each run there must be a sequential order in which the pure rule, without any lock, gives everybody the
//! same answers and leaves the same state, and in which nobody who asked after another was answered comes before it: so the locks
//! add nothing to the rule and lose nothing of it. And nobody may wait for ever. Each store has controls, which lock wrongly and must be
//! found; one of them was ours.
//!
//! `tests/locks` runs it. The cfg is one of our own: `--cfg loom` would change tokio as well.

use crate::clock::{Clock, Timestamp};
use loom::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// A clock whose reading is a turn of its own. It reads by adding nothing: a mere load may show `loom`'s threads what was, which no
/// clock does.
#[derive(Clone, Debug, Default)]
pub(super) struct Hands(Arc<AtomicI64>);

impl Hands {
    pub(super) fn seconds(&self) -> i64 {
        self.0.fetch_add(0, SeqCst)
    }

    pub(super) fn pass(&self, seconds: i64) {
        self.0.fetch_add(seconds, SeqCst);
    }
}

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_seconds(self.seconds())
    }
}

/// The rule without a lock, and what it was asked so far has come to.
pub(super) trait Sequential: Clone + Default + Debug + PartialEq + 'static {
    /// What a caller does.
    type Call: Clone + Debug + Send + Sync + 'static;
    /// What it is told.
    type Told: Debug + PartialEq + Send + 'static;

    fn does(&mut self, call: &Self::Call) -> Self::Told;
}

/// The store that should be no different.
pub(super) trait Locked: Clone + Send + 'static {
    type Rule: Sequential;

    fn does(&self, call: &CallOf<Self>) -> ToldOf<Self>;

    /// What is left when all are done.
    fn end(&self) -> Self::Rule;
}

pub(super) type CallOf<L> = <<L as Locked>::Rule as Sequential>::Call;
pub(super) type ToldOf<L> = <<L as Locked>::Rule as Sequential>::Told;

/// A call that is over: when it was asked and answered, by a count that `loom` does not see and takes no turns for.
#[derive(Debug)]
struct Done<S: Sequential> {
    call: S::Call,
    asked: usize,
    told: S::Told,
    answered: usize,
}

/// Runs what each caller does, after `before`, in every order; each must be one that the rule explains. Says how many there were.
pub(super) fn every_order<L: Locked>(
    store: impl Fn() -> L + Send + Sync + 'static,
    before: &[CallOf<L>],
    callers: &[&[CallOf<L>]],
) -> usize {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = runs.clone();
    let before = before.to_vec();
    let callers: Vec<_> = callers.iter().map(|calls| calls.to_vec()).collect();
    loom::model(move || {
        counted.fetch_add(1, Relaxed);
        let store = store();
        let mut start = L::Rule::default();
        for call in &before {
            assert_eq!(store.does(call), start.does(call));
        }
        let turn = Arc::new(AtomicUsize::new(0));
        let threads: Vec<_> = callers
            .iter()
            .map(|calls| {
                let (store, turn, calls) = (store.clone(), turn.clone(), calls.clone());
                loom::thread::spawn(move || all_done(&store, &turn, calls))
            })
            .collect();
        let done: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        let end = store.end();
        let left: Vec<_> = done.iter().map(Vec::as_slice).collect();
        assert!(
            explains(&start, &left, &end),
            "no sequential order does this: {done:#?}\nand leaves {end:#?}"
        );
    });
    runs.load(Relaxed)
}

fn all_done<L: Locked>(store: &L, turn: &AtomicUsize, calls: Vec<CallOf<L>>) -> Vec<Done<L::Rule>> {
    let done = |call| {
        let asked = turn.fetch_add(1, Relaxed);
        let told = store.does(&call);
        let answered = turn.fetch_add(1, Relaxed);
        Done {
            call,
            asked,
            told,
            answered,
        }
    };
    calls.into_iter().map(done).collect()
}

/// Whether what is left of each caller can be put behind this, in some order.
fn explains<S: Sequential>(from: &S, left: &[&[Done<S>]], end: &S) -> bool {
    if left.iter().all(|done| done.is_empty()) {
        return from == end;
    }
    let heads = || left.iter().filter_map(|done| done.first());
    (0..left.len()).any(|caller| {
        let Some((done, rest)) = left[caller].split_first() else {
            return false;
        };
        // nothing that was answered before this was asked may come behind it
        let in_time = heads().all(|other| other.answered >= done.asked);
        let mut next = from.clone();
        in_time && next.does(&done.call) == done.told && {
            let mut left = left.to_vec();
            left[caller] = rest;
            explains(&next, &left, end)
        }
    })
}
