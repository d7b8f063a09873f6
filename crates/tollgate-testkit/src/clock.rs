//! A clock that follows the runtime's time, paused or not.

use std::fmt;
use tokio::runtime::Handle;
use tokio::time::Instant;
use tollgate_core::{Clock, Timestamp};

/// Wall-clock time that moves with a tokio runtime's: with paused time, `tokio::time::advance` and auto-advance move it too, so that
/// leases in a store lapse together with the timers of the layers. [`ManualClock`](tollgate_core::ManualClock) stands still instead.
///
/// It may be asked from any thread, such as a store's own writer: the runtime is the one that it was made in.
///
/// ```
/// use std::time::Duration;
/// use tollgate_core::{Clock, Timestamp};
/// use tollgate_testkit::RuntimeClock;
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
/// let clock = RuntimeClock::at(Timestamp::from_unix_seconds(1_700_000_000));
/// tokio::time::sleep(Duration::from_secs(60)).await; // paused: takes no time
/// assert_eq!(clock.now().unix_seconds(), 1_700_000_060);
/// # }
/// ```
#[derive(Clone)]
pub struct RuntimeClock {
    start: Timestamp,
    since: Instant,
    runtime: Handle,
}

impl RuntimeClock {
    /// A clock that shows this time now.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    pub fn at(start: Timestamp) -> Self {
        Self {
            start,
            since: Instant::now(),
            runtime: Handle::current(),
        }
    }
}

impl Clock for RuntimeClock {
    fn now(&self) -> Timestamp {
        let _inside = self.runtime.enter();
        self.start.saturating_add(self.since.elapsed())
    }
}

impl fmt::Debug for RuntimeClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RuntimeClock({:?})", self.now())
    }
}
