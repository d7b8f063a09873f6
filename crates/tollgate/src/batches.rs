//! Much work on a store, a little at a time.

use std::time::Duration;
use tollgate_core::store::StoreError;

/// How an upkeep goes about it: so many at a time, a pause after each batch, and so many in all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Batches {
    /// Zero counts as one: a batch of none would never end.
    pub(crate) size: u32,
    pub(crate) pause: Duration,
    pub(crate) at_most: u64,
}

/// How far it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Worked {
    pub(crate) changed: u64,
    /// Whether nothing was left; otherwise it was enough.
    pub(crate) all: bool,
}

impl Batches {
    /// Asks for one batch after the other until one is not full, or it is enough. What was done before a failure or a drop stays done.
    pub(crate) async fn work<F>(self, step: impl Fn(u32) -> F) -> Result<Worked, StoreError>
    where
        F: Future<Output = Result<u64, StoreError>>,
    {
        let size = self.size.max(1);
        let mut changed = 0;
        loop {
            let left = self.at_most.saturating_sub(changed);
            let batch = u32::try_from(left).unwrap_or(u32::MAX).min(size);
            if batch == 0 {
                return Ok(Worked { changed, all: false });
            }
            if changed > 0 {
                tokio::time::sleep(self.pause).await;
            }
            let done = step(batch).await?;
            changed = changed.saturating_add(done);
            if done < u64::from(batch) {
                return Ok(Worked { changed, all: true });
            }
        }
    }
}
