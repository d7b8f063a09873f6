//! What people may do to a saga, with their name and their reason.

use super::Sagas;
use super::live::Ask;
use super::recover::{Unrecoverable, read};
use crate::machine::{Misplaced, Record, Verb, check_verb};
use crate::outcome::Why;
use tokio::time::Instant;
use tollgate_core::store::StoreError;
use tollgate_core::store::saga::{SagaId, SagaJournal};

/// Who acts, and why. Both are journalled; card data in them is masked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    actor: String,
    reason: String,
}

impl Operator {
    /// This person, for this reason (a ticket, a phone call).
    #[must_use]
    pub fn new(actor: impl Into<String>, reason: impl Into<String>) -> Self {
        let masked = |text: String| Why::new(text).to_string();
        Self {
            actor: masked(actor.into()),
            reason: masked(reason.into()),
        }
    }
}

/// A person's word that was not taken. Nothing was changed, unless the journal's error says that the write may have happened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OperateError {
    /// There is no such saga.
    #[error("there is no saga {0}")]
    NotFound(SagaId),
    /// Actor or reason is empty.
    #[error("an operator gives a name and a reason")]
    Anonymous,
    /// The word does not fit where the saga stands.
    #[error(transparent)]
    Misplaced(#[from] Misplaced),
    /// This build must not run the saga.
    #[error(transparent)]
    Unrecoverable(#[from] Unrecoverable),
    /// The journal did not answer.
    #[error("the journal did not answer")]
    Journal(#[from] StoreError),
    /// Somebody else took the saga up meanwhile, or the journal failed: look at it again.
    #[error("the word was not written: look at the saga again")]
    Overtaken,
}

/// What became of a request to cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// It turns back as soon as the step that is on its way is known, unless that step is the pivot and happens.
    Asked,
    /// It does not run in this process: ask there, or wait for a recovery.
    NotHere,
}

impl<J: SagaJournal> Sagas<J> {
    /// Carries out a person's word on a parked saga, and lets it run on here. Who, why and what are journalled before anything is done.
    ///
    /// # Errors
    /// [`OperateError`].
    pub async fn operate(&self, id: SagaId, operator: &Operator, verb: Verb) -> Result<(), OperateError> {
        if operator.actor.trim().is_empty() || operator.reason.trim().is_empty() {
            return Err(OperateError::Anonymous);
        }
        // looked at before it is claimed: a claim would fence an engine that runs it
        let journal = self
            .shared
            .journal
            .load(id)
            .await?
            .ok_or(OperateError::NotFound(id))?;
        let (_, progress) = read(&journal, |version| {
            self.shared.plan(&journal.name, version).cloned()
        })?;
        check_verb(&progress, &verb)?;
        let asked = Instant::now();
        let claimed = self.shared.journal.claim_one(id, self.shared.lease).await?;
        let mut held = self.hold(claimed.ok_or(OperateError::NotFound(id))?, asked)?;
        if let Err(misplaced) = check_verb(&held.progress, &verb) {
            // somebody was faster: what we have claimed runs on as it was
            if held.progress.ended.is_none() {
                self.go(held, Vec::new())
                    .await
                    .map_err(|_| OperateError::Overtaken)?;
            }
            return Err(misplaced.into());
        }
        let operated = Record::Operated {
            actor: operator.actor.clone(),
            reason: operator.reason.clone(),
            verb,
            at: held.now(),
        };
        tracing::warn!(target: "tollgate::saga", saga = %id, actor = operator.actor, reason = operator.reason, "a person acts");
        self.go(held, vec![operated])
            .await
            .map_err(|_| OperateError::Overtaken)
    }

    /// Asks a saga that runs in this process to turn back. What is on its way is brought to a known end first, and behind the pivot nothing
    /// turns back: [`Run::wait`](super::Run::wait) tells how it ended. The request is journalled with the next record, so a crash before that
    /// forgets it.
    pub fn cancel(&self, id: SagaId, operator: &Operator) -> Cancelled {
        match self.shared.running.get(id) {
            Some(live) => {
                live.ask(Ask {
                    actor: operator.actor.clone(),
                    reason: operator.reason.clone(),
                });
                Cancelled::Asked
            }
            None => Cancelled::NotHere,
        }
    }
}
