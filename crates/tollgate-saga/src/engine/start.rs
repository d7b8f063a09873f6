//! Starts sagas.

use super::commit::Held;
use super::run::Run;
use super::{Sagas, Shared};
use crate::definition::Definition;
use crate::machine::{Record, Unreadable, advance};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::Arc;
use tokio::time::Instant;
use tollgate_core::Timestamp;
use tollgate_core::store::StoreError;
use tollgate_core::store::saga::{Created, NewSaga, SagaId, SagaJournal};

/// A saga that was not started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The engine was opened without this definition, so nobody could take the saga up after a crash.
    #[error("`{name}` version {version} is not registered with this engine")]
    NotRegistered {
        /// Which name.
        name: String,
        /// Which version.
        version: u32,
    },
    /// The engine is closing.
    #[error("the engine is closing")]
    Closing,
    /// The key is empty or too long.
    #[error("a saga's key has 1 to 255 characters without control characters")]
    Key,
    /// There is a saga with this key, and it was started with something else.
    #[error("saga {id} has the same key and another input")]
    KeyReused {
        /// Which saga.
        id: SagaId,
    },
    /// There is a saga with this key, of another version of the definition. It runs on under that version.
    #[error("saga {id} has the same key and was started by version {version}")]
    OtherVersion {
        /// Which saga.
        id: SagaId,
        /// Of which version.
        version: u32,
    },
    /// The input has no stored form.
    #[error("the input has no stored form")]
    Input,
    /// What stands in the journal under this key cannot be read.
    #[error("the saga with this key cannot be read")]
    Unreadable(#[from] Unreadable),
    /// The journal did not answer. **Nothing was sent.** Start again with the same key: it cannot happen twice.
    #[error("the journal did not answer; nothing was sent")]
    Journal(#[from] StoreError),
}

impl<J: SagaJournal> Sagas<J> {
    /// Starts a saga, or finds the one that this key has started. `key` is the caller's own (an order number): there is one saga per
    /// definition's name and key, whoever starts it and how often.
    ///
    /// One that was found may belong to another engine, or to none since a crash: it goes on when a [recovery](Self::recover) takes it up.
    ///
    /// When this returns, the intent of the first step is written and the saga runs in a task of its own. Dropped before that, the saga may
    /// or may not have been created; if it was, it is taken up by a recovery. Start again with the same key to find out.
    ///
    /// # Errors
    /// [`StartError`]. Nothing was sent in any of its cases by this call.
    pub async fn start<In, T>(
        &self,
        definition: &Definition<In, T>,
        key: &str,
        input: &In,
    ) -> Result<Run<J, T>, StartError>
    where
        In: Serialize + DeserializeOwned + Send + 'static,
    {
        let plan = &definition.plan;
        let (name, version) = (&plan.name, plan.version);
        match self.shared.plan(name, version) {
            Some(registered) if registered.shape == plan.shape => {}
            _ => {
                let name = name.to_string();
                return Err(StartError::NotRegistered { name, version });
            }
        }
        if self.shared.is_closing() {
            return Err(StartError::Closing);
        }
        if key.is_empty() || key.chars().count() > 255 || key.contains(char::is_control) {
            return Err(StartError::Key);
        }
        let input = serde_json::to_value(input).map_err(|_| StartError::Input)?;
        let shared = Arc::clone(&self.shared);
        let definition = definition.clone();
        let key = Arc::from(key);
        // in a task: a caller that hangs up between the creation and the first step must not leave the saga to lie there for a lease
        let started = self
            .shared
            .tracker
            .spawn(begin(shared, definition.plan.clone(), key, input));
        let id = match started.await {
            Ok(started) => started?,
            Err(_) => return Err(StartError::Closing),
        };
        Ok(Run::new(Arc::clone(&self.shared), &definition, id))
    }
}

async fn begin<J: SagaJournal>(
    shared: Arc<Shared<J>>,
    plan: Arc<crate::definition::Plan>,
    key: Arc<str>,
    input: Value,
) -> Result<SagaId, StartError> {
    let id = SagaId::random();
    let now = shared.clock.now();
    let created = Record::Created {
        version: plan.version,
        shape: plan.shape.to_string(),
        input,
        at: now,
    };
    let mut progress = plan.blank();
    progress.apply(&created);
    let mut batch = vec![created];
    let action = advance(&mut progress, &mut batch, now);
    let records: Result<Vec<_>, _> = batch.iter().map(Record::encode).collect();
    let new = NewSaga {
        id,
        name: Arc::clone(&plan.name),
        key: Arc::clone(&key),
        records: records.map_err(|_| StartError::Input)?,
        lease: shared.lease,
    };
    let asked = Instant::now();
    match create(&shared, new).await? {
        Created::Created => {
            let held = Held {
                live: shared.running.enter(id),
                shared: Arc::clone(&shared),
                plan,
                id,
                key,
                epoch: 1,
                progress,
                lease_end: asked + shared.lease,
                latest: Timestamp::EPOCH,
            };
            shared.spawn(held, action);
            Ok(id)
        }
        Created::Exists(other) => same(&shared, other, &batch[0]).await.map(|()| other),
    }
}

/// A creation whose answer was lost is looked for, by the id that only we know.
async fn create<J: SagaJournal>(shared: &Shared<J>, new: NewSaga) -> Result<Created, StoreError> {
    let id = new.id;
    match shared.journal.create(new).await {
        Err(error) if error.may_have_happened() => match shared.journal.load(id).await? {
            Some(_) => Ok(Created::Created),
            None => Err(error),
        },
        answer => answer,
    }
}

/// Whether the saga that was found was started with the same.
async fn same<J: SagaJournal>(shared: &Shared<J>, id: SagaId, ours: &Record) -> Result<(), StartError> {
    let journal = shared.journal.load(id).await?;
    let Some(first) = journal.as_ref().and_then(|journal| journal.records.first()) else {
        return Err(StartError::Unreadable(Unreadable {
            at: 0,
            why: "there is no record".to_owned(),
        }));
    };
    match (Record::decode(0, first)?, ours) {
        (Record::Created { version, .. }, Record::Created { version: our, .. }) if version != *our => {
            Err(StartError::OtherVersion { id, version })
        }
        (Record::Created { input, .. }, Record::Created { input: our, .. }) if input == *our => Ok(()),
        _ => Err(StartError::KeyReused { id }),
    }
}
