//! Sagas.

mod definition;
mod engine;
mod machine;
mod outcome;
mod policy;
mod step;

pub use definition::{Committed, Definition, DefinitionError, Finished, Flow, Inputs, Out, Undecided};
pub use engine::{
    Cancelled, Case, Cause, Drained, OperateError, Operator, Recovered, Report, Run, Sagas, Settled, Setup,
    SetupError, StartError, StepReport, Unrecoverable, WaitError,
};
pub use machine::{Direction, Kind, Misplaced, Stage, Unreadable, Verb};
pub use outcome::{Doubt, Effected, IntoOutcome, Outcome, Probed, Refusal, Undone};
pub use policy::{Policy, Repeat};
pub use step::{Irreversible, Reversible, Step, StepContext, step, via};

#[cfg(test)]
mod tests;
