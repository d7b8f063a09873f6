//! Gates: places at which a call stands still until it is let on.
//!
//! Every operation of the store and every step of the gateway waits at one. What happens between two gates touches nothing that is
//! shared, so the order in which gates are opened is all that an interleaving is.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tollgate_core::Timestamp;
use tollgate_core::store::idempotency::{
    Begin, Begun, Held, IdempotencyStore, Record, RecordKey, Resolve, Resolved, Settled, Settlement, Token,
    Unresolved,
};
use tollgate_core::store::memory::MemoryIdempotency;
use tollgate_core::store::{Capabilities, StoreError};

/// What a gate is before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Begin,
    Arm,
    Renew,
    Settle,
    /// The service behind is asked whether it is ready.
    Ready,
    /// The gateway carries out what it is sent.
    Book,
    /// Its answer arrives.
    Answer,
}

/// How a gate is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// As it should be.
    Well,
    /// It fails, and nothing happened; of a booking: it was never sent.
    FailsBefore,
    /// It happens, and its answer is lost.
    FailsAfter,
    /// Whoever stands there panics.
    Panics,
}

impl Place {
    /// How it can go wrong here.
    pub(crate) const fn faults(self) -> &'static [How] {
        match self {
            Self::Begin | Self::Arm | Self::Renew | Self::Settle => &[How::FailsBefore, How::FailsAfter],
            Self::Ready => &[How::FailsBefore],
            Self::Book => &[How::FailsBefore, How::Panics],
            Self::Answer => &[How::FailsAfter, How::Panics],
        }
    }
}

/// All gates that somebody stands at, in the order of arrival.
#[derive(Clone, Default)]
pub(crate) struct Gates(Arc<Mutex<Waiting>>);

#[derive(Default)]
struct Waiting {
    closed: Vec<(Place, Opener)>,
    arrived: usize,
    open_for_all: bool,
}

/// Carries out what waits behind a gate.
type Opener = Box<dyn FnOnce(How) + Send>;

impl Gates {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap()
    }

    /// Where somebody stands.
    pub(crate) fn places(&self) -> Vec<Place> {
        self.lock().closed.iter().map(|(place, _)| *place).collect()
    }

    /// How many ever came to a gate.
    pub(crate) fn arrived(&self) -> usize {
        self.lock().arrived
    }

    /// Opens one, and carries out what waits behind it.
    pub(crate) fn open(&self, number: usize, how: How) {
        let (_, opener) = self.lock().closed.remove(number);
        opener(how);
    }

    /// Opens all, and lets pass whoever comes.
    pub(crate) fn open_for_all(&self) {
        self.lock().open_for_all = true;
        while !self.places().is_empty() {
            self.open(0, How::Well);
        }
    }

    /// Stands at a gate until it is opened; what happens behind it happens then, whoever still waits for it.
    pub(crate) fn pass<T: Send + 'static>(
        &self,
        place: Place,
        behind: impl FnOnce(How) -> T + Send + 'static,
    ) -> Passing<T> {
        let slot = Arc::new(Mutex::new(Slot::default()));
        let filled = Arc::clone(&slot);
        let opener: Opener = Box::new(move |how| {
            let output = behind(how);
            let waker = {
                let mut slot = filled.lock().unwrap();
                slot.output = Some(output);
                slot.waker.take()
            };
            waker.into_iter().for_each(Waker::wake);
        });
        let mut waiting = self.lock();
        waiting.arrived += 1;
        if waiting.open_for_all {
            drop(waiting);
            opener(How::Well);
        } else {
            waiting.closed.push((place, opener));
        }
        Passing(slot)
    }
}

struct Slot<T> {
    output: Option<T>,
    waker: Option<Waker>,
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self {
            output: None,
            waker: None,
        }
    }
}

/// Somebody at a gate.
pub(crate) struct Passing<T>(Arc<Mutex<Slot<T>>>);

impl<T> Future for Passing<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let mut slot = self.0.lock().unwrap();
        match slot.output.take() {
            Some(output) => Poll::Ready(output),
            None => {
                slot.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl<T> fmt::Debug for Passing<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passing")
    }
}

/// The in-memory store behind gates. Its operations are atomic (one lock each), so to open gates in every order is to run it in every
/// order.
#[derive(Clone)]
pub(crate) struct GatedStore {
    pub(crate) inner: MemoryIdempotency,
    pub(crate) gates: Gates,
    pub(crate) flaw: Option<Flaw>,
}

/// What is wrong with a store, on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// Whether a key is free is asked first, and written down later: any other store than ours may come in between.
    ChecksThenActs,
    /// A doubt is written down as a release.
    ClearsOnTimeout,
}

impl GatedStore {
    fn pass<T: Send + 'static>(
        &self,
        place: Place,
        ask: impl FnOnce(&MemoryIdempotency) -> std::future::Ready<Result<T, StoreError>> + Send + 'static,
    ) -> Passing<Result<T, StoreError>> {
        let inner = self.inner.clone();
        let lost = || Err(StoreError::unavailable("the answer was lost").possibly_applied());
        self.gates.pass(place, move |how| match how {
            How::FailsBefore => lost(),
            How::FailsAfter => {
                let _written = ask(&inner).into_inner();
                lost()
            }
            How::Well | How::Panics => ask(&inner).into_inner(),
        })
    }
}

impl GatedStore {
    fn is_free(&self, key: RecordKey) -> bool {
        self.inner
            .get(key)
            .into_inner()
            .is_ok_and(|found| found.is_none())
    }
}

/// What only upkeep and resolvers ask passes at once.
fn at_once<T: Send + 'static>(
    answer: std::future::Ready<Result<T, StoreError>>,
) -> Passing<Result<T, StoreError>> {
    Passing(Arc::new(Mutex::new(Slot {
        output: Some(answer.into_inner()),
        waker: None,
    })))
}

impl IdempotencyStore for GatedStore {
    type Future<T: Send + 'static> = Passing<Result<T, StoreError>>;

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
    fn now(&self) -> Self::Future<Timestamp> {
        at_once(self.inner.now())
    }
    fn begin(&self, begin: Begin) -> Self::Future<Begun> {
        let was_free = self.is_free(begin.key);
        let store = self.clone();
        self.pass(Place::Begin, move |inner| {
            let overtaken = was_free && !store.is_free(begin.key);
            if store.flaw == Some(Flaw::ChecksThenActs) && overtaken {
                let unseen = RecordKey::new([0xff; 32]); // the row that came in between is written over
                return inner.begin(Begin { key: unseen, ..begin });
            }
            inner.begin(begin)
        })
    }
    fn arm(&self, token: Token, lease: Duration) -> Self::Future<Held> {
        self.pass(Place::Arm, move |store| store.arm(token, lease))
    }
    fn renew(&self, token: Token, lease: Duration) -> Self::Future<Held> {
        self.pass(Place::Renew, move |store| store.renew(token, lease))
    }
    fn settle(&self, token: Token, settlement: &Settlement) -> Self::Future<Settled> {
        let settlement = match (self.flaw, settlement) {
            (Some(Flaw::ClearsOnTimeout), Settlement::Unknown(_)) => Settlement::Released,
            (_, settlement) => settlement.clone(),
        };
        self.pass(Place::Settle, move |store| store.settle(token, &settlement))
    }
    fn resolve(&self, resolve: Resolve) -> Self::Future<Resolved> {
        at_once(self.inner.resolve(resolve))
    }
    fn get(&self, key: RecordKey) -> Self::Future<Option<Record>> {
        at_once(self.inner.get(key))
    }
    fn unresolved(&self, after: Option<RecordKey>, limit: u32) -> Self::Future<Vec<Unresolved>> {
        at_once(self.inner.unresolved(after, limit))
    }
    fn sweep(&self, limit: u32) -> Self::Future<u64> {
        at_once(self.inner.sweep(limit))
    }
    fn collect(&self, tombstone: Duration, limit: u32) -> Self::Future<u64> {
        at_once(self.inner.collect(tombstone, limit))
    }
}
