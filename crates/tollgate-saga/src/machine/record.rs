//! What stands in the journal.

use crate::outcome::{Undone, Why};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use tollgate_core::Timestamp;
use tollgate_core::store::saga::SagaState;

/// A step's place in its definition.
pub(crate) type StepIndex = usize;

/// Which way a step is walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// The step itself.
    Forward,
    /// Its compensation.
    Undo,
}

impl Direction {
    /// The stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Undo => "undo",
        }
    }
}

/// Something that happened to a saga. Never changed once written; new kinds are added at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Record {
    /// The first of all.
    Created {
        /// The definition's version.
        version: u32,
        /// What the definition looked like.
        shape: String,
        /// What the saga was started with.
        input: Value,
        at: Timestamp,
    },
    /// Committed before the first byte leaves.
    Intended {
        step: StepIndex,
        direction: Direction,
        at: Timestamp,
    },
    /// An attempt ended and settled nothing.
    Again {
        step: StepIndex,
        direction: Direction,
        /// It may have happened.
        doubt: bool,
        /// Sent with a key that the peer recognises.
        keyed: bool,
        why: Why,
        at: Timestamp,
        due: Timestamp,
    },
    /// A probe was made and settled nothing.
    Asked {
        step: StepIndex,
        why: Why,
        due: Timestamp,
    },
    /// It happened.
    Done { step: StepIndex, output: Value },
    /// It certainly did not happen, and will not.
    Refused { step: StepIndex, why: Why },
    /// It may have happened; repeating and probing are at their end.
    Unresolved { step: StepIndex, why: Why },
    /// From here on back.
    UnwindBegun { step: Option<StepIndex>, why: Why },
    /// A compensation is through.
    Undone { step: StepIndex, how: Undone },
    /// This effect waits for a person.
    Stuck {
        step: StepIndex,
        direction: Direction,
        why: Why,
    },
    /// Another engine, or the same after a crash, took it up.
    Resumed { at: Timestamp },
    /// A person or a caller wants it stopped.
    CancelAsked {
        actor: String,
        reason: String,
        at: Timestamp,
    },
    /// A person acted on a parked saga.
    Operated {
        actor: String,
        reason: String,
        verb: Verb,
        at: Timestamp,
    },
    /// It rests: for good, or until a person acts.
    Ended { state: EndState },
}

/// Where a saga rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EndState {
    Completed,
    Compensated,
    Parked,
    Abandoned,
}

impl From<EndState> for SagaState {
    fn from(state: EndState) -> Self {
        match state {
            EndState::Completed => Self::Completed,
            EndState::Compensated => Self::Compensated,
            EndState::Parked => Self::Parked,
            EndState::Abandoned => Self::Abandoned,
        }
    }
}

/// What a person says about a parked saga. Journalled with who and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "verb")]
#[non_exhaustive]
pub enum Verb {
    /// Try again what is stuck, under the same keys and with fresh budgets.
    Retry,
    /// Try the stuck step again under a new key: for a peer that replays a stored failure for ever. **If the old request arrives after
    /// all, it happens twice**: make sure that it cannot.
    RetryWithNewKey {
        /// Which step, by name.
        step: String,
    },
    /// The step in doubt happened, and this came of it. The saga goes on.
    Happened {
        /// Which step, by name.
        step: String,
        /// Its output, as the step would have returned it.
        output: Value,
    },
    /// The step in doubt did not happen, and cannot happen any more. Unwinds, or past the pivot tries again.
    DidNotHappen {
        /// Which step, by name.
        step: String,
    },
    /// The effect whose compensation is stuck was undone by hand, or was never there.
    WasUndone {
        /// Which step, by name.
        step: String,
        /// What was found.
        how: Undone,
    },
    /// Leave everything as it is and close the saga.
    Abandon,
}

/// A journal that this build cannot read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("record {at} of the journal cannot be read: {why}")]
pub struct Unreadable {
    /// Which record, counted from 0.
    pub at: usize,
    /// Why.
    pub why: String,
}

impl Record {
    /// The step it speaks of.
    pub(crate) const fn step(&self) -> Option<StepIndex> {
        match self {
            Self::Intended { step, .. }
            | Self::Again { step, .. }
            | Self::Asked { step, .. }
            | Self::Done { step, .. }
            | Self::Refused { step, .. }
            | Self::Unresolved { step, .. }
            | Self::Undone { step, .. }
            | Self::Stuck { step, .. } => Some(*step),
            Self::UnwindBegun { step, .. } => *step,
            Self::Created { .. }
            | Self::Resumed { .. }
            | Self::CancelAsked { .. }
            | Self::Operated { .. }
            | Self::Ended { .. } => None,
        }
    }

    /// Its stored form.
    pub(crate) fn encode(&self) -> Result<Arc<[u8]>, serde_json::Error> {
        serde_json::to_vec(self).map(Into::into)
    }

    /// The record of this stored form.
    pub(crate) fn decode(at: usize, bytes: &[u8]) -> Result<Self, Unreadable> {
        // serde_json's message for a bad value can repeat it; where it broke off is enough to find it
        serde_json::from_slice(bytes).map_err(|error| Unreadable {
            at,
            why: format!("{:?} at column {}", error.classify(), error.column()),
        })
    }
}
