//! What a store of events needs from time to time: those whose retention is over forgotten.

use crate::batches::Batches;
use crate::causes::Causes;
use crate::setters::setters;
use crate::spread::Spread;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tollgate_core::store::StoreError;
use tollgate_core::store::dedup::DedupStore;

/// The settings of the upkeep, and the upkeep itself. Deserializes from a table with the fields' names; durations as `{ secs, nanos }`.
///
/// A pass works in small batches with a pause after each, so that it never holds a store up. It forgets processed events whose
/// [`retention`](super::WebhookConfig::retention) is over, and events that nobody processed and nobody sent again for a day; never one
/// that is being processed. Any number of processes may do it over one store: what one did the others find done.
///
/// ```
/// use tollgate::webhook::{Upkeep, UpkeepPass};
/// use tollgate_core::store::memory::MemoryDedup;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), tollgate_core::store::StoreError> {
/// let store = MemoryDedup::new();
/// assert_eq!(Upkeep::default().pass(&store).await?, UpkeepPass { forgotten: 0, all: true });
///
/// let task = tokio::spawn(Upkeep::default().run(store)); // for ever: abort it at shutdown
/// # task.abort();
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Upkeep {
    /// How often a pass is made (default: every minute), give or take a tenth, so that a fleet does not do it in step.
    pub every: Duration,
    /// How many events are forgotten at a time (default: 100). Zero counts as one.
    pub batch: u32,
    /// How long a store is left alone after each batch (default: 50 ms).
    pub pause: Duration,
    /// How many events one pass forgets at most (default: 100,000); the next one goes on. Zero counts as one.
    pub at_most: u64,
}

impl Default for Upkeep {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(60),
            batch: 100,
            pause: Duration::from_millis(50),
            at_most: 100_000,
        }
    }
}

/// What one pass did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpkeepPass {
    /// How many events were forgotten.
    pub forgotten: u64,
    /// Whether these were all whose time was over. `false` when the pass forgot as many as it may: the next one goes on.
    pub all: bool,
}

setters! {
    Upkeep {
        /// Sets how often a pass is made (default: every minute).
        every: Duration;
        /// Sets how many events are forgotten at a time (default: 100).
        batch: u32;
        /// Sets how long a store is left alone after each batch (default: 50 ms).
        pause: Duration;
        /// Sets how many events one pass forgets at most (default: 100,000).
        at_most: u64;
    }
}

impl Upkeep {
    /// One pass: forgets what may be forgotten. Dropping it leaves the rest for the next one.
    ///
    /// # Errors
    /// [`StoreError`] when the store fails; what was forgotten before stays forgotten.
    pub async fn pass<St: DedupStore>(&self, store: &St) -> Result<UpkeepPass, StoreError> {
        let batches = Batches {
            size: self.batch,
            pause: self.pause,
            at_most: self.at_most.max(1),
        };
        let worked = batches.work(|batch| store.forget(batch)).await?;
        Ok(UpkeepPass {
            forgotten: worked.changed,
            all: worked.all,
        })
    }

    /// A pass now and then, for ever: spawn it, and abort it at shutdown. Each tells what it did as an event of `tollgate::webhook`; a
    /// store that fails is asked again the next time.
    pub async fn run<St: DedupStore>(self, store: St) {
        let spread = Spread::default();
        loop {
            tell(self.pass(&store).await);
            tokio::time::sleep(spread.around(self.every)).await;
        }
    }
}

fn tell(pass: Result<UpkeepPass, StoreError>) {
    match pass {
        Ok(UpkeepPass { forgotten, all: true }) => {
            tracing::debug!(target: "tollgate::webhook", forgotten, all = true, "no event is kept beyond its time");
        }
        Ok(UpkeepPass {
            forgotten,
            all: false,
        }) => {
            tracing::warn!(
                target: "tollgate::webhook", forgotten, all = false,
                "forgot as many events as a pass may; the next one goes on"
            );
        }
        Err(error) => {
            tracing::warn!(target: "tollgate::webhook", error = %Causes(&error), "the store did not answer to its upkeep");
        }
    }
}
