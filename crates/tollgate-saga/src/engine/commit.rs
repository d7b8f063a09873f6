//! Writes to the journal, and keeps the lease.

use super::Shared;
use super::live::Live;
use crate::definition::Plan;
use crate::machine::{Progress, Record};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tollgate_core::Timestamp;
use tollgate_core::store::StoreError;
use tollgate_core::store::saga::{Append, Fenced, SagaId, SagaJournal};

/// Why an engine must stop at once, and start nothing more.
#[derive(Debug)]
pub(crate) enum Lost {
    /// Another engine has it.
    Fenced,
    /// The journal did not answer while the lease lasted.
    Lease,
    /// The engine is closing, and the saga only waits.
    Closing,
    /// A record has no stored form.
    Unwritable,
}

/// A saga that this engine holds.
pub(crate) struct Held<J> {
    pub(crate) shared: Arc<Shared<J>>,
    pub(crate) plan: Arc<Plan>,
    pub(crate) live: Arc<Live>,
    pub(crate) id: SagaId,
    pub(crate) key: Arc<str>,
    pub(crate) epoch: u64,
    pub(crate) progress: Progress,
    /// On the monotonic clock, counted from before the request that granted it.
    pub(crate) lease_end: Instant,
    /// Time does not go back here, whatever the wall clock does.
    pub(crate) latest: Timestamp,
}

/// However it ends (also when the task or the recovery that has it is dropped), nobody waits here any more for what does not run here.
impl<J> Drop for Held<J> {
    fn drop(&mut self) {
        self.shared.running.leave(self.id, &self.live);
    }
}

impl<J: SagaJournal> Held<J> {
    pub(crate) fn now(&mut self) -> Timestamp {
        self.latest = self.latest.max(self.shared.clock.now());
        self.latest
    }

    /// Writes the batch, which is part of the sum already. Nothing may be done before it is written.
    pub(crate) async fn commit(&mut self, batch: &[Record]) -> Result<(), Lost> {
        if batch.is_empty() {
            return Ok(());
        }
        let encoded: Result<Vec<_>, _> = batch.iter().map(Record::encode).collect();
        let records = encoded.map_err(|_| Lost::Unwritable)?;
        let added = u64::try_from(records.len()).unwrap_or(u64::MAX);
        let append = Append {
            id: self.id,
            epoch: self.epoch,
            seen: self.progress.records.saturating_sub(added),
            records,
            state: self.progress.state(),
            lease: self.shared.lease,
        };
        let mut in_doubt = false;
        let mut wait = Duration::from_millis(10);
        loop {
            let asked = Instant::now();
            let lease_end = self.lease_end;
            match timeout_at(lease_end, self.shared.journal.append(append.clone())).await {
                Ok(Ok(Fenced::No)) => {
                    self.lease_end = asked + self.shared.lease;
                    return Ok(());
                }
                // after a lost answer the fence may be our own write
                Ok(Ok(Fenced::Yes)) if in_doubt && self.is_written(&append).await => return Ok(()),
                Ok(Ok(Fenced::Yes)) => return Err(Lost::Fenced),
                Ok(Err(error)) => {
                    in_doubt |= error.may_have_happened();
                    self.complain(&error);
                }
                Err(_) => return Err(Lost::Lease),
            }
            if Instant::now() + wait >= lease_end {
                return Err(Lost::Lease);
            }
            sleep(wait).await;
            wait = (wait * 2).min(Duration::from_secs(1));
        }
    }

    /// Whether the journal holds exactly this append. Only the holder of the epoch writes, so an equal end is our own.
    async fn is_written(&self, append: &Append) -> bool {
        match timeout_at(self.lease_end, self.shared.journal.load(append.id)).await {
            Ok(Ok(Some(journal))) => {
                let seen = usize::try_from(append.seen).unwrap_or(usize::MAX);
                journal.epoch == append.epoch && journal.records.get(seen..) == Some(&append.records[..])
            }
            _ => false,
        }
    }

    fn complain(&self, error: &StoreError) {
        tracing::warn!(target: "tollgate::saga", saga = %self.id, %error, "the journal did not take a record: nothing more is started");
    }

    /// Awaits something while the lease is kept alive.
    pub(crate) async fn keeping<F: Future>(&mut self, future: F) -> Result<F::Output, Lost> {
        let mut future = pin!(future);
        loop {
            tokio::select! {
                biased;
                output = &mut future => return Ok(output),
                kept = self.beat() => self.lease_end = kept?,
            }
        }
    }

    /// Makes sure, right before something is sent, that enough of the lease is left: a journal that took its time to answer has used it up.
    pub(crate) async fn freshen(&mut self) -> Result<(), Lost> {
        if self.lease_end.saturating_duration_since(Instant::now()) < self.shared.lease / 3 {
            self.lease_end = self.beat().await?;
        }
        Ok(())
    }

    /// One renewal, when it is due. Answers the new end of the lease.
    async fn beat(&self) -> Result<Instant, Lost> {
        let third = self.shared.lease / 3;
        sleep_until(self.lease_end - third * 2).await;
        let mut wait = third / 8;
        loop {
            let asked = Instant::now();
            let renewal = self.shared.journal.renew(self.id, self.epoch, self.shared.lease);
            match timeout_at(self.lease_end, renewal).await {
                Ok(Ok(Fenced::No)) => return Ok(asked + self.shared.lease),
                Ok(Ok(Fenced::Yes)) => return Err(Lost::Fenced),
                Ok(Err(error)) => self.complain(&error),
                Err(_) => return Err(Lost::Lease),
            }
            if Instant::now() + wait >= self.lease_end {
                return Err(Lost::Lease);
            }
            sleep(wait).await;
            wait *= 2;
        }
    }

    /// Lets other engines have it at once. If that fails, its lease lapses.
    pub(crate) async fn release(&self) {
        if let Err(error) = self
            .shared
            .journal
            .renew(self.id, self.epoch, Duration::ZERO)
            .await
        {
            self.complain(&error);
        }
    }
}
