//! Takes up what another engine left.

use super::Sagas;
use super::commit::{Held, Lost};
use crate::definition::Plan;
use crate::machine::{Progress, Record, Unreadable};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tollgate_core::Timestamp;
use tollgate_core::store::StoreError;
use tollgate_core::store::saga::{Journal, SagaId, SagaJournal};

/// How many sagas are claimed at a time.
const BATCH: u32 = 64;

/// What a recovery did.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Taken up; they run now.
    pub resumed: Vec<SagaId>,
    /// Left as they are, each for a reason that needs somebody's attention.
    pub refused: Vec<(SagaId, Unrecoverable)>,
}

/// A saga that this build must not run. It is left as it is, for one that may.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unrecoverable {
    /// The engine was opened without the version of the definition that started it.
    #[error(
        "it was started by `{name}` version {version}, which is not registered: keep old versions until none of their sagas is left"
    )]
    UnknownVersion {
        /// Which definition.
        name: String,
        /// Which version of it.
        version: u32,
    },
    /// The definition was changed without a new version.
    #[error(
        "`{name}` version {version} has other steps now than when it was started: give the change a new version"
    )]
    Changed {
        /// Which definition.
        name: String,
        /// Which version of it.
        version: u32,
    },
    /// Its journal cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

impl<J: SagaJournal> Sagas<J> {
    /// Takes up every saga of the registered definitions that nobody looks after: those whose engine crashed, or gave them free. They
    /// continue where their journal ends, each in a task of its own. Safe to call at any time, from any number of engines: a claim is
    /// atomic, and whoever had the saga before is fenced.
    ///
    /// Call it when the process starts, and then from time to time ([`keep_recovering`](Self::keep_recovering)): what crashed a moment ago
    /// can be claimed when its lease has lapsed.
    ///
    /// Dropped in the middle, what was claimed and not yet taken up waits for its lease to lapse.
    ///
    /// # Errors
    /// The journal's, when it does not answer. What was claimed before runs.
    pub async fn recover(&self) -> Result<Recovered, StoreError> {
        let mut recovered = Recovered::default();
        let mut names: Vec<Arc<str>> = self
            .shared
            .plans
            .keys()
            .map(|(name, _)| Arc::clone(name))
            .collect();
        names.sort_unstable();
        names.dedup();
        while !self.shared.is_closing() && !names.is_empty() {
            let asked = Instant::now();
            let claimed = self
                .shared
                .journal
                .claim(&names, self.shared.lease, BATCH)
                .await?;
            let last = claimed.len() < usize::try_from(BATCH).unwrap_or(usize::MAX);
            for journal in claimed {
                let id = journal.id;
                match self.take_up(journal, asked).await {
                    Ok(true) => recovered.resumed.push(id),
                    Ok(false) => {}
                    Err(why) => {
                        // the lease stays for its time, so that the next claim finds others first, and then another build may try
                        tracing::error!(target: "tollgate::saga", saga = %id, %why, "a saga is left as it is");
                        recovered.refused.push((id, why));
                    }
                }
            }
            if last {
                break;
            }
        }
        Ok(recovered)
    }

    /// Recovers now and then every `every`, until the engine closes. Journal errors are logged and tried again. Spawn it.
    pub async fn keep_recovering(self, every: Duration) {
        let mut closing = self.shared.closing.subscribe();
        while !self.shared.is_closing() {
            if let Err(error) = self.recover().await {
                tracing::warn!(target: "tollgate::saga", %error, "the journal did not answer to a recovery");
            }
            tokio::select! {
                () = tokio::time::sleep(every) => {}
                _ = closing.wait_for(|closing| *closing) => return,
            }
        }
    }

    /// Whether it runs now.
    pub(crate) async fn take_up(&self, journal: Journal, asked: Instant) -> Result<bool, Unrecoverable> {
        let held = self.hold(journal, asked)?;
        Ok(self.go(held, Vec::new()).await.is_ok())
    }

    /// A claimed saga, read.
    pub(crate) fn hold(&self, journal: Journal, asked: Instant) -> Result<Held<J>, Unrecoverable> {
        let (plan, progress) = read(&journal, |version| {
            self.shared.plan(&journal.name, version).cloned()
        })?;
        Ok(Held {
            live: self.shared.running.enter(journal.id),
            shared: Arc::clone(&self.shared),
            plan,
            id: journal.id,
            key: journal.key,
            epoch: journal.epoch,
            progress,
            lease_end: asked + self.shared.lease,
            latest: Timestamp::EPOCH,
        })
    }

    /// Writes that it was taken up, with these records, and runs it.
    pub(crate) async fn go(&self, mut held: Held<J>, records: Vec<Record>) -> Result<(), Lost> {
        let mut batch = vec![Record::Resumed { at: held.now() }];
        batch.extend(records);
        match held.go_on(batch).await {
            Ok(action) => {
                let shared = Arc::clone(&held.shared);
                shared.spawn(held, action);
                Ok(())
            }
            Err(lost) => {
                tracing::warn!(target: "tollgate::saga", saga = %held.id, ?lost, "a claimed saga could not be taken up");
                Err(lost)
            }
        }
    }
}

/// The sum of a journal, if the definition that started it is at hand.
pub(crate) fn read(
    journal: &Journal,
    plan: impl FnOnce(u32) -> Option<Arc<Plan>>,
) -> Result<(Arc<Plan>, Progress), Unrecoverable> {
    let mut records = Vec::with_capacity(journal.records.len());
    for (at, bytes) in journal.records.iter().enumerate() {
        records.push(Record::decode(at, bytes)?);
    }
    let Some(Record::Created { version, shape, .. }) = records.first() else {
        let why = "it does not begin with a creation".to_owned();
        return Err(Unreadable { at: 0, why }.into());
    };
    let (name, version) = (journal.name.to_string(), *version);
    let plan = match plan(version) {
        Some(plan) if plan.version == version => plan,
        _ => return Err(Unrecoverable::UnknownVersion { name, version }),
    };
    if *shape != *plan.shape {
        return Err(Unrecoverable::Changed { name, version });
    }
    let mut progress = plan.blank();
    for (at, record) in records.iter().enumerate() {
        progress.read(at, record)?;
    }
    Ok((plan, progress))
}
