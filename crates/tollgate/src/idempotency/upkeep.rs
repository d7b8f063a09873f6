//! What a store needs from time to time: lost owners marked, old answers forgotten, open outcomes counted.

use super::open_keys::Backlog;
use crate::batches::Batches;
use crate::causes::Causes;
use crate::setters::setters;
use crate::spread::Spread;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tollgate_core::store::StoreError;
use tollgate_core::store::idempotency::IdempotencyStore;

/// The settings of the upkeep, and the upkeep itself. Deserializes from a table with the fields' names; durations as `{ secs, nanos }`.
///
/// A pass works in small batches with a pause after each, so that it never holds a store up; it never touches `Armed` records whose owner
/// is alive, nor `Unknown` ones. Any number of processes may do it over one store: what one did the others find done.
///
/// ```
/// use tollgate::idempotency::Upkeep;
/// use tollgate_core::store::memory::MemoryIdempotency;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), tollgate_core::store::StoreError> {
/// let store = MemoryIdempotency::new();
/// let pass = Upkeep::default().pass(&store).await?;
/// assert_eq!((pass.lost, pass.collected, pass.backlog.open), (0, 0, 0));
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
    /// How many records are changed at a time (default: 100). Zero counts as one.
    pub batch: u32,
    /// How long a store is left alone after each batch (default: 50 ms).
    pub pause: Duration,
    /// How long a key stays spent after its answer was forgotten (default: 400 days): longer than chargebacks take, and than any client
    /// keeps a key. A repeat within this time gets `key-expired`; after it, the key is as new.
    pub tombstone: Duration,
}

impl Default for Upkeep {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(60),
            batch: 100,
            pause: Duration::from_millis(50),
            tombstone: Duration::from_secs(400 * 24 * 60 * 60),
        }
    }
}

/// What one pass did, and what it found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UpkeepPass {
    /// How many owners were found lost: their keys are `Unknown` now.
    pub lost: u64,
    /// How many answers, released keys and tombstones were forgotten.
    pub collected: u64,
    /// What is open.
    pub backlog: Backlog,
}

setters! {
    Upkeep {
        /// Sets how often a pass is made (default: every minute).
        every: Duration;
        /// Sets how many records are changed at a time (default: 100).
        batch: u32;
        /// Sets how long a store is left alone after each batch (default: 50 ms).
        pause: Duration;
        /// Sets how long a key stays spent after its answer was forgotten (default: 400 days).
        tombstone: Duration;
    }
}

impl Upkeep {
    /// One pass: marks lost owners, forgets what may be forgotten, counts what is open. Dropping it leaves the rest for the next one.
    ///
    /// # Errors
    /// [`StoreError`] when the store fails; what was done before stays done.
    pub async fn pass<St: IdempotencyStore>(&self, store: &St) -> Result<UpkeepPass, StoreError> {
        let batches = Batches {
            size: self.batch,
            pause: self.pause,
            at_most: u64::MAX,
        };
        let swept = batches.work(|batch| store.sweep(batch)).await?;
        let collected = batches.work(|batch| store.collect(self.tombstone, batch)).await?;
        let backlog = Backlog::of(store).await?;
        Ok(UpkeepPass {
            lost: swept.changed,
            collected: collected.changed,
            backlog,
        })
    }

    /// A pass now and then, for ever: spawn it, and abort it at shutdown. Each tells what it did as an event of `tollgate::idempotency`; a
    /// store that fails is asked again the next time.
    pub async fn run<St: IdempotencyStore>(self, store: St) {
        let spread = Spread::default();
        loop {
            self.tell(self.pass(&store).await);
            tokio::time::sleep(spread.around(self.every)).await;
        }
    }

    fn tell(&self, pass: Result<UpkeepPass, StoreError>) {
        match pass {
            Ok(UpkeepPass {
                lost,
                collected,
                backlog,
            }) => {
                let oldest_s = backlog.oldest.as_secs();
                if lost > 0 || backlog.open > 0 {
                    tracing::warn!(
                        target: "tollgate::idempotency", lost, collected, open = backlog.open, oldest_s, "outcomes are open"
                    );
                } else {
                    tracing::debug!(
                        target: "tollgate::idempotency", lost, collected, open = 0_u64, oldest_s = 0_u64, "nothing is open"
                    );
                }
            }
            Err(error) => {
                tracing::warn!(target: "tollgate::idempotency", error = %Causes(&error), "the store did not answer to its upkeep");
            }
        }
    }
}
