//! Where a saga stands, for people.

use super::recover::{Unrecoverable, read};
use super::run::{Case, cases};
use super::{OperateError, Sagas};
use crate::machine::{Kind, Stage};
use std::sync::Arc;
use tollgate_core::store::StoreError;
use tollgate_core::store::saga::{SagaId, SagaJournal, SagaState};

/// Where a saga stands. Holds no payloads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Which saga.
    pub id: SagaId,
    /// Of which definition.
    pub name: Arc<str>,
    /// The caller's own key.
    pub key: Arc<str>,
    /// Where it stands.
    pub state: SagaState,
    /// Each step, in order.
    pub steps: Vec<StepReport>,
    /// What waits for a person; empty unless it is parked.
    pub cases: Vec<Case>,
}

/// Where a step stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepReport {
    /// Which step.
    pub name: &'static str,
    /// Of which kind.
    pub kind: Kind,
    /// Where it stands.
    pub stage: Stage,
    /// The later step whose compensation took the place of its own.
    pub superseded_by: Option<&'static str>,
    /// How many attempts ended without settling anything.
    pub attempts: u32,
    /// How many attempts to undo it did.
    pub undo_attempts: u32,
}

impl<J: SagaJournal> Sagas<J> {
    /// Where a saga stands; `None` when there is none.
    ///
    /// # Errors
    /// [`OperateError::Journal`] and [`OperateError::Unrecoverable`].
    pub async fn inspect(&self, id: SagaId) -> Result<Option<Report>, OperateError> {
        let Some(journal) = self.shared.journal.load(id).await? else {
            return Ok(None);
        };
        let (_, progress) = read(&journal, |version| {
            self.shared.plan(&journal.name, version).cloned()
        })
        .map_err(|why: Unrecoverable| OperateError::from(why))?;
        let steps = progress
            .specs
            .iter()
            .zip(&progress.steps)
            .enumerate()
            .map(|(at, (spec, state))| StepReport {
                name: spec.name,
                kind: spec.kind,
                stage: state.stage,
                superseded_by: progress.superseded_by(at).map(|later| progress.specs[later].name),
                attempts: state.forward.count,
                undo_attempts: state.undo.count,
            });
        let parked = progress.state() == SagaState::Parked;
        Ok(Some(Report {
            id,
            name: Arc::clone(&journal.name),
            key: Arc::clone(&journal.key),
            state: progress.state(),
            steps: steps.collect(),
            cases: if parked { cases(&progress) } else { Vec::new() },
        }))
    }

    /// Up to `limit` parked sagas by id, after `after`: the list that somebody has to look at.
    ///
    /// # Errors
    /// The journal's.
    pub async fn parked(&self, after: Option<SagaId>, limit: u32) -> Result<Vec<SagaId>, StoreError> {
        self.shared.journal.list(SagaState::Parked, after, limit).await
    }
}
