//! What the rules know about a step.

use super::record::StepIndex;
use crate::policy::Policy;
use std::fmt::Write;
use std::sync::Arc;

/// What becomes of a saga when the step does not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Can be undone: before the pivot.
    Compensable,
    /// The point of no return: done, the saga only goes forward; refused, it unwinds.
    Pivot,
    /// Tried until it is done: after the pivot.
    Retriable,
}

impl Kind {
    /// The stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Compensable => "compensable",
            Self::Pivot => "pivot",
            Self::Retriable => "retriable",
        }
    }
}

/// Where a step's input comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// What the saga was started with.
    Start,
    /// What came of this step.
    Step(StepIndex),
}

/// A step without its functions.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) inputs: Vec<Place>,
    pub(crate) supersedes: Vec<StepIndex>,
    /// Has an effect that somebody has to know about.
    pub(crate) has_effect: bool,
    pub(crate) has_undo: bool,
    pub(crate) has_probe: bool,
    /// In doubt, it waits for a person rather than for its compensation.
    pub(crate) park_in_doubt: bool,
    pub(crate) forward: Policy,
    pub(crate) undo: Policy,
    pub(crate) probe: Policy,
}

/// What must not change under one version: names, order, kinds, wiring, what can be undone. Policies may.
pub(crate) fn shape(specs: &[Spec], output: &[Place]) -> Arc<str> {
    let mut shape = String::new();
    for spec in specs {
        // writing to a string cannot fail
        let _ = write!(shape, "{} {}", spec.kind.as_str(), spec.name);
        places(&mut shape, &spec.inputs);
        if spec.has_undo {
            shape.push_str(" undo");
        }
        if !spec.has_effect {
            shape.push_str(" check");
        }
        for other in &spec.supersedes {
            let _ = write!(shape, " supersedes {other}");
        }
        shape.push('\n');
    }
    shape.push_str("output");
    places(&mut shape, output);
    shape.into()
}

fn places(shape: &mut String, places: &[Place]) {
    for place in places {
        let _ = match place {
            Place::Start => write!(shape, " <start"),
            Place::Step(step) => write!(shape, " <{step}"),
        };
    }
}
