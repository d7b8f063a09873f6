//! Which word of a person fits where.

use super::progress::{Progress, Stage};
use super::record::{Direction, EndState, Verb};

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
