//! A store under test, and how its time passes.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Barrier;
use tokio::time::Instant;
use tollgate_core::{ManualClock, Timestamp};

/// A fresh store under test, and how its time passes. Each property wants one of its own.
///
/// ```
/// use tollgate_core::store::memory::MemoryDedup;
/// use tollgate_testkit::conformance::Subject;
///
/// let subject = Subject::manual(|clock| MemoryDedup::with(100, clock));
/// # let _ = subject;
/// ```
pub struct Subject<S> {
    store: Arc<S>,
    time: Arc<Time>,
    unit: Duration,
    kept: Vec<Box<dyn Any + Send + Sync>>,
}

/// How a store's time passes.
pub(super) enum Time {
    Manual(ManualClock),
    /// Since when a property has run, and for how long of that it meant to wait, in microseconds.
    Real {
        since: Instant,
        waited: AtomicU64,
    },
}

impl Time {
    fn real() -> Self {
        Self::Real {
            since: Instant::now(),
            waited: AtomicU64::new(0),
        }
    }

    /// Moves the clock, or waits.
    pub(super) async fn pass(&self, time: Duration) {
        match self {
            Self::Manual(clock) => clock.advance(time),
            Self::Real { waited, .. } => {
                let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
                waited.fetch_add(micros, Ordering::SeqCst);
                tokio::time::sleep(time).await;
            }
        }
    }
}

impl<S: Send + Sync + 'static> Subject<S> {
    /// A store that takes its time from a clock. Nothing waits: properties move the clock.
    pub fn manual(make: impl FnOnce(ManualClock) -> S) -> Self {
        let clock = ManualClock::at(Timestamp::from_unix_seconds(1_700_000_000));
        Self {
            store: Arc::new(make(clock.clone())),
            time: Arc::new(Time::Manual(clock)),
            unit: Duration::from_secs(10),
            kept: Vec::new(),
        }
    }

    /// A store whose time is its server's. Properties wait, in multiples of `unit`: longer than the usual answer of the store, or
    /// leases lapse while they are being asked about. 250 ms suit a database on the same machine; where it took longer all the same,
    /// [`prove`](super::prove) tries again with more.
    pub fn real(store: S, unit: Duration) -> Self {
        Self {
            store: Arc::new(store),
            time: Arc::new(Time::real()),
            unit,
            kept: Vec::new(),
        }
    }

    /// Keeps something alive as long as the store: a temporary folder, a server (default: nothing).
    #[must_use]
    pub fn keeping(mut self, guard: impl Any + Send + Sync) -> Self {
        self.kept.push(Box::new(guard));
        self
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &S {
        &self.store
    }

    /// The length of an ordinary lease in the properties.
    #[must_use]
    pub const fn unit(&self) -> Duration {
        self.unit
    }

    /// Lets this many units pass, and a little more: leases of that length have lapsed afterwards.
    pub async fn pass(&self, units: u32) {
        let time = self.unit.saturating_mul(units).saturating_add(self.unit / 100);
        self.time.pass(time).await;
    }

    /// Lets half a unit pass.
    pub async fn pass_half(&self) {
        self.time.pass(self.unit / 2).await;
    }

    /// Lets so much time pass.
    pub(super) async fn pass_for(&self, time: Duration) {
        self.time.pass(time).await;
    }

    /// For a task that lets time pass while others are at work.
    pub(super) fn time(&self) -> Arc<Time> {
        Arc::clone(&self.time)
    }

    /// The same with a unit that is so many times as long, if its time is real; from here on it counts what is late.
    pub(super) fn begun(mut self, times: u32) -> Self {
        if matches!(*self.time, Time::Real { .. }) {
            self.unit = self.unit.saturating_mul(times);
            self.time = Arc::new(Time::real());
        }
        self
    }

    /// How much longer than it meant to wait it has taken so far, if that is so much that leases may have lapsed which should not have.
    pub(super) fn late(&self) -> Option<Duration> {
        let Time::Real { since, waited } = &*self.time else {
            return None;
        };
        let waited = Duration::from_micros(waited.load(Ordering::SeqCst));
        let late = since.elapsed().saturating_sub(waited);
        // half a unit is the least that any property leaves
        (late >= self.unit / 4).then_some(late)
    }

    /// Runs `many` tasks against the store, all released at one moment. Their answers, in the order of their numbers.
    ///
    /// # Panics
    /// If one of them does.
    pub async fn together<T, F>(&self, many: u8, task: impl Fn(Arc<S>, u8) -> F) -> Vec<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let start = Arc::new(Barrier::new(usize::from(many)));
        let tasks: Vec<_> = (0..many)
            .map(|number| {
                let (start, task) = (Arc::clone(&start), task(Arc::clone(&self.store), number));
                tokio::spawn(async move {
                    start.wait().await;
                    task.await
                })
            })
            .collect();
        let mut answers = Vec::with_capacity(tasks.len());
        for task in tasks {
            match task.await {
                Ok(answer) => answers.push(answer),
                Err(failed) => panic!("a task of the property failed: {failed}"),
            }
        }
        answers
    }
}

impl<S: fmt::Debug> fmt::Debug for Subject<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject")
            .field("store", &self.store)
            .field("unit", &self.unit)
            .finish_non_exhaustive()
    }
}
