//! Which guarded calls run: counted always, named once they have to wait.
//!
//! A call that ends without ever waiting cannot be left over at a shutdown, so it pays for a counter and nothing else. One that waits
//! takes a slot, and slots are used again: no allocation once there are as many as calls ever waited at a time.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use tollgate_core::store::idempotency::RecordKey;

/// What a guarded call is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Doing {
    /// The guarded call itself: money may be on its way. Cut off, its record stays `Armed`.
    Calling,
    /// Its answer was told and is being written, to a store that fails. Cut off, its record stays `Armed`.
    Settling,
    /// Nobody waits for a claim any more: it is being given back. Nothing was sent.
    GivingBack,
}

impl Doing {
    /// The stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Calling => "calling",
            Self::Settling => "settling",
            Self::GivingBack => "giving_back",
        }
    }
}

/// A guarded call that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunningCall {
    /// Its record: what operators look it up by. Never the client's key.
    pub record: RecordKey,
    /// What it is at.
    pub doing: Doing,
    /// For how long it has been waiting.
    pub running_for: Duration,
}

impl fmt::Display for RunningCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            record,
            doing,
            running_for,
        } = self;
        write!(
            f,
            "{record} {} for {} ms",
            doing.as_str(),
            running_for.as_millis()
        )
    }
}

/// The calls of one layer.
pub(super) struct Running {
    /// Counts them, and knows when none is left. Closed while somebody drains: each call that ends would look who waits otherwise.
    pub(super) tracker: TaskTracker,
    /// How many drain.
    draining: Mutex<usize>,
    /// Those that wait, spread by key so that no lock is everybody's.
    shards: [Mutex<Slots>; SHARDS],
}

const SHARDS: usize = 16;

/// A slab: a slot that was left is the next one taken.
#[derive(Default)]
struct Slots {
    slots: Vec<Slot>,
    free: Option<usize>,
}

enum Slot {
    Free { next: Option<usize> },
    Taken(Waiting),
}

#[derive(Clone, Copy)]
struct Waiting {
    record: RecordKey,
    doing: Doing,
    since: Instant,
}

impl Slots {
    fn take(&mut self, waiting: Waiting) -> usize {
        match self.free {
            Some(at) => {
                if let Slot::Free { next } = self.slots[at] {
                    self.free = next;
                }
                self.slots[at] = Slot::Taken(waiting);
                at
            }
            None => {
                self.slots.push(Slot::Taken(waiting));
                self.slots.len() - 1
            }
        }
    }

    fn leave(&mut self, at: usize) {
        self.slots[at] = Slot::Free { next: self.free };
        self.free = Some(at);
    }
}

/// A slot that is held. Dropping leaves it.
struct Held<'r> {
    running: &'r Running,
    shard: usize,
    at: usize,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.running.lock(self.shard).leave(self.at);
    }
}

/// Somebody waits until none is left. The last one to leave opens the tracker again.
struct Draining<'r>(&'r Running);

impl<'r> Draining<'r> {
    fn begin(running: &'r Running) -> Self {
        let mut draining = running.draining();
        *draining += 1;
        running.tracker.close();
        Self(running)
    }
}

impl Drop for Draining<'_> {
    fn drop(&mut self) {
        let mut draining = self.0.draining();
        *draining -= 1;
        if *draining == 0 {
            self.0.tracker.reopen();
        }
    }
}

impl Running {
    fn draining(&self) -> MutexGuard<'_, usize> {
        self.draining.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn new() -> Self {
        Self {
            tracker: TaskTracker::new(),
            draining: Mutex::new(0),
            shards: std::array::from_fn(|_| Mutex::default()),
        }
    }

    /// Until none runs. However many wait for that, and whoever of them gives up early.
    pub(super) async fn until_none(&self) {
        let _draining = Draining::begin(self);
        self.tracker.wait().await;
    }

    /// Drives a future, and names it from the moment it has to wait.
    pub(super) fn named<'r, F: Future>(
        &'r self,
        record: &'r RecordKey,
        doing: Doing,
        mut future: Pin<&'r mut F>,
    ) -> impl Future<Output = F::Output> + use<'r, F> {
        let mut held = None;
        poll_fn(move |cx| {
            let polled = future.as_mut().poll(cx);
            if polled.is_pending() && held.is_none() {
                held = Some(self.enter(*record, doing));
            }
            polled
        })
    }

    fn enter(&self, record: RecordKey, doing: Doing) -> Held<'_> {
        // a keyed hash: any byte spreads
        let shard = usize::from(record.as_bytes()[0]) % SHARDS;
        let since = Instant::now();
        let at = self.lock(shard).take(Waiting { record, doing, since });
        Held {
            running: self,
            shard,
            at,
        }
    }

    fn lock(&self, shard: usize) -> MutexGuard<'_, Slots> {
        // taking and leaving do not panic half way
        self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The calls that wait, the longest first.
    pub(super) fn list(&self) -> Vec<RunningCall> {
        let now = Instant::now();
        let mut found = Vec::new();
        for shard in 0..SHARDS {
            found.extend(self.lock(shard).slots.iter().filter_map(|slot| match slot {
                Slot::Free { .. } => None,
                Slot::Taken(waiting) => Some(RunningCall {
                    record: waiting.record,
                    doing: waiting.doing,
                    running_for: now.saturating_duration_since(waiting.since),
                }),
            }));
        }
        found.sort_unstable_by_key(|call| (std::cmp::Reverse(call.running_for), call.record));
        found
    }
}
