//! A store under test, and how its time passes.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Barrier;
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
    time: Time,
    unit: Duration,
    kept: Vec<Box<dyn Any + Send + Sync>>,
}

enum Time {
    Manual(ManualClock),
    Real,
}

impl<S: Send + Sync + 'static> Subject<S> {
    /// A store that takes its time from a clock. Nothing waits: properties move the clock.
    pub fn manual(make: impl FnOnce(ManualClock) -> S) -> Self {
        let clock = ManualClock::at(Timestamp::from_unix_seconds(1_700_000_000));
        Self {
            store: Arc::new(make(clock.clone())),
            time: Time::Manual(clock),
            unit: Duration::from_secs(10),
            kept: Vec::new(),
        }
    }

    /// A store whose time is its server's. Properties wait, in multiples of `unit`: longer than the slowest answer of the store, or
    /// leases lapse while they are being asked about. 250 ms suit a database on the same machine.
    pub fn real(store: S, unit: Duration) -> Self {
        Self {
            store: Arc::new(store),
            time: Time::Real,
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
        match &self.time {
            Time::Manual(clock) => clock.advance(time),
            Time::Real => tokio::time::sleep(time).await,
        }
    }

    /// Lets half a unit pass.
    pub async fn pass_half(&self) {
        match &self.time {
            Time::Manual(clock) => clock.advance(self.unit / 2),
            Time::Real => tokio::time::sleep(self.unit / 2).await,
        }
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

/// Runs a property to its end on a runtime of its own with several threads, so that what races really does. What the macros of
/// this module expand to.
///
/// # Panics
/// If the property is violated, or no runtime can be made.
pub fn run(property: impl Future<Output = ()>) {
    match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime.block_on(property),
        Err(error) => panic!("cannot start a runtime: {error}"),
    }
}
