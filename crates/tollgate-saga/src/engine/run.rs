//! Waits for a saga. A waiter is not the engine: dropping it changes nothing.

use super::Shared;
use super::drive::values;
use super::recover::read;
use crate::definition::{Definition, Plan};
use crate::machine::{Direction, EndState, Progress};
use serde_json::Value;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tollgate_core::store::StoreError;
use tollgate_core::store::saga::{SagaId, SagaJournal};

/// A saga that was started or found. Drop it freely: the saga runs on.
#[must_use = "the saga runs anyway; `wait` tells how it ends"]
pub struct Run<J, T> {
    shared: Arc<Shared<J>>,
    plan: Arc<Plan>,
    decode: fn(&[&Value]) -> Result<T, serde_json::Error>,
    id: SagaId,
}

/// How a saga came to rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled<T> {
    /// Every step was done.
    Completed(T),
    /// Every effect was undone.
    Compensated(Cause),
    /// A person has to look: some effect is neither undone nor known. Never to be told as "reversed".
    Parked(Vec<Case>),
    /// A person closed it as it was.
    Abandoned,
}

/// Why a saga turned back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// The step that did not happen; `None` when somebody cancelled.
    pub step: Option<&'static str>,
    /// Why, without card data.
    pub why: String,
}

/// What a person has to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Which step.
    pub step: &'static str,
    /// Whether the step itself is in doubt, or its compensation is stuck.
    pub direction: Direction,
    /// Why, without card data.
    pub why: String,
}

/// A saga's end that could not be learned. The saga itself is not touched by this.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// The journal did not answer.
    #[error("the journal did not answer")]
    Journal(#[from] StoreError),
    /// The journal does not have it any more, or cannot be read.
    #[error("saga {id} cannot be read: {why}")]
    Unreadable {
        /// Which saga.
        id: SagaId,
        /// Why.
        why: String,
    },
    /// It completed, and what came of it cannot be read as the definition's type.
    #[error("what came of saga {id} cannot be read as its type")]
    Output {
        /// Which saga.
        id: SagaId,
    },
}

impl<J: SagaJournal, T> Run<J, T> {
    pub(crate) fn new<In>(shared: Arc<Shared<J>>, definition: &Definition<In, T>, id: SagaId) -> Self {
        Self {
            shared,
            plan: Arc::clone(&definition.plan),
            decode: definition.decode,
            id,
        }
    }

    /// Which saga.
    #[must_use]
    pub const fn id(&self) -> SagaId {
        self.id
    }

    /// Waits until the saga rests. May be called again. Wrap it in a timeout to answer "202, come back later": the saga runs on.
    ///
    /// When another engine has the saga, the journal is asked from time to time.
    ///
    /// # Errors
    /// [`WaitError`]; says nothing about the saga.
    pub async fn wait(&self) -> Result<Settled<T>, WaitError> {
        let mut pause = Duration::from_millis(20);
        loop {
            if let Some(live) = self.shared.running.get(self.id) {
                let mut left = live.left.subscribe();
                // `left` may have been sent before we subscribed: then the entry is gone, or about to be
                drop(live);
                if let Ok(rested) = left.wait_for(Option::is_some).await
                    && let Some(progress) = rested.as_deref()
                {
                    return self.settled(progress);
                }
            }
            let progress = self.read().await?;
            if progress.ended.is_some() {
                return self.settled(&progress);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(1));
        }
    }

    async fn read(&self) -> Result<Progress, WaitError> {
        let unreadable = |why: String| WaitError::Unreadable { id: self.id, why };
        let journal = self.shared.journal.load(self.id).await?;
        let journal = journal.ok_or_else(|| unreadable("it is not there".to_owned()))?;
        let (_, progress) =
            read(&journal, |_| Some(Arc::clone(&self.plan))).map_err(|why| unreadable(why.to_string()))?;
        Ok(progress)
    }

    fn settled(&self, progress: &Progress) -> Result<Settled<T>, WaitError> {
        Ok(match progress.ended {
            Some(EndState::Completed) => {
                let output = (self.decode)(&values(progress, &self.plan.output));
                Settled::Completed(output.map_err(|_| WaitError::Output { id: self.id })?)
            }
            Some(EndState::Compensated) => Settled::Compensated(cause(progress)),
            Some(EndState::Abandoned) => Settled::Abandoned,
            Some(EndState::Parked) | None => Settled::Parked(cases(progress)),
        })
    }
}

fn cause(progress: &Progress) -> Cause {
    let turned = progress.unwinding.as_ref();
    Cause {
        step: turned
            .and_then(|turned| turned.step)
            .map(|step| progress.specs[step].name),
        why: turned.map(|turned| turned.why.to_string()).unwrap_or_default(),
    }
}

/// Everything that waits for a person.
pub(crate) fn cases(progress: &Progress) -> Vec<Case> {
    let stuck = progress
        .steps
        .iter()
        .zip(progress.specs.iter())
        .filter_map(|(state, spec)| {
            state.stuck.as_ref().map(|stuck| Case {
                step: spec.name,
                direction: stuck.direction,
                why: stuck.why.to_string(),
            })
        });
    let mut cases: Vec<Case> = stuck.collect();
    if cases.is_empty() {
        cases.extend(progress.on_its_way().map(|(step, direction)| Case {
            step: progress.specs[step].name,
            direction,
            why: "it was taken up again and again without getting any further".to_owned(),
        }));
    }
    cases
}

impl<J, T> fmt::Debug for Run<J, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
