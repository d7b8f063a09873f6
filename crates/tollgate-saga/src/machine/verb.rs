//! A person's word: where it fits, and what it changes.

use super::progress::{Progress, Stage, StepState, on_its_way};
use super::record::{Direction, EndState, Verb};
use super::spec::Kind;
use tollgate_core::Timestamp;

/// A word that does not fit where the saga stands. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misplaced {
    /// It does not wait for a person.
    #[error("the saga is {state}: only a parked one takes a person's word")]
    NotParked {
        /// Where it stands.
        state: &'static str,
    },
    /// The definition has no such step.
    #[error("the definition has no step `{step}`")]
    NoSuchStep {
        /// The name that was given.
        step: String,
    },
    /// The step does not wait for this word.
    #[error("step `{step}` does not wait for this word: {hint}")]
    NotStuck {
        /// Which step.
        step: String,
        /// What fits.
        hint: &'static str,
    },
}

/// Whether a person may say this now.
///
/// # Errors
/// [`Misplaced`].
pub(crate) fn check_verb(progress: &Progress, verb: &Verb) -> Result<(), Misplaced> {
    if progress.ended != Some(EndState::Parked) {
        let state = progress.state().as_str();
        return Err(Misplaced::NotParked { state });
    }
    let (step, wanted) = match verb {
        Verb::Retry | Verb::Abandon => return Ok(()),
        Verb::RetryWithNewKey { step } => (step, None),
        Verb::Happened { step, .. } | Verb::DidNotHappen { step } => (step, Some(Direction::Forward)),
        Verb::WasUndone { step, .. } => (step, Some(Direction::Undo)),
    };
    let Some(at) = progress.specs.iter().position(|spec| spec.name == step) else {
        return Err(Misplaced::NoSuchStep { step: step.clone() });
    };
    let state = &progress.steps[at];
    let stuck = state.stuck.as_ref().map(|stuck| stuck.direction);
    // a saga parked because its engines kept dying has its step still on its way
    let found = stuck.or(match state.stage {
        Stage::Intended => Some(Direction::Forward),
        Stage::Undoing => Some(Direction::Undo),
        _ => None,
    });
    if found.is_some() && (wanted.is_none() || wanted == found) {
        return Ok(());
    }
    let hint = match found {
        None => "nothing about it is open",
        Some(Direction::Forward) => "it is in doubt forward: `Happened`, `DidNotHappen` or `Retry`",
        Some(Direction::Undo) => "its compensation is stuck: `WasUndone` or `Retry`",
    };
    Err(Misplaced::NotStuck {
        step: step.clone(),
        hint,
    })
}

impl Progress {
    /// Adds a person's word.
    pub(super) fn operate(&mut self, verb: &Verb, at: Timestamp) {
        self.ended = None;
        match verb {
            Verb::Retry => self.retry(at),
            Verb::RetryWithNewKey { step } => {
                if let Some(state) = self.by_name(step) {
                    let direction = state
                        .stuck
                        .take()
                        .map_or(Direction::Forward, |stuck| stuck.direction);
                    let tries = state.tries_mut(direction);
                    tries.generation = tries.generation.saturating_add(1);
                    tries.begin(at);
                    state.stage = on_its_way(direction);
                }
                self.retry(at);
            }
            Verb::Happened { step, output } => {
                if let Some(state) = self.by_name(step) {
                    state.stuck = None;
                    state.stage = Stage::Done;
                    state.output = Some(output.clone());
                }
            }
            Verb::DidNotHappen { step } => {
                let again = self
                    .specs
                    .iter()
                    .any(|spec| spec.name == step && spec.kind == Kind::Retriable);
                if let Some(state) = self.by_name(step) {
                    state.stuck = None;
                    state.stage = if again { Stage::Waiting } else { Stage::Absent };
                }
            }
            Verb::WasUndone { step, how } => {
                if let Some(state) = self.by_name(step) {
                    state.stuck = None;
                    state.stage = Stage::Undone(*how);
                }
            }
            Verb::Abandon => self.abandoned = true,
        }
    }

    fn retry(&mut self, at: Timestamp) {
        for state in &mut self.steps {
            let Some(stuck) = state.stuck.take() else { continue };
            // a person says that a repeat is safe: a new window, and doubt about keys is theirs
            let tries = state.tries_mut(stuck.direction);
            tries.begun = at;
            tries.bare = false;
            tries.renew(at);
            state.probe.renew(at);
            if stuck.direction == Direction::Forward {
                state.stage = Stage::Intended;
            }
        }
    }

    fn by_name(&mut self, name: &str) -> Option<&mut StepState> {
        let at = self.specs.iter().position(|spec| spec.name == name)?;
        self.steps.get_mut(at)
    }
}
