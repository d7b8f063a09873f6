//! Where a saga stands: the sum of its records.

use super::record::{Direction, EndState, Record, StepIndex, Unreadable};
use super::spec::{Kind, Spec};
use crate::outcome::{Undone, Why};
use crate::policy::{Policy, Repeat};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tollgate_core::Timestamp;
use tollgate_core::store::saga::SagaState;

/// Where a step stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// Not begun.
    #[default]
    Waiting,
    /// Its intent is written; it may have happened.
    Intended,
    /// It happened.
    Done,
    /// It certainly did not happen.
    Refused,
    /// It was in doubt, and was shown not to have happened.
    Absent,
    /// It may have happened, and neither repeating nor probing said.
    InDoubt,
    /// The intent to undo it is written.
    Undoing,
    /// Undone, or found to have left nothing.
    Undone(Undone),
}

/// What is known about the attempts in one direction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tries {
    /// When the intent was written.
    pub(crate) begun: Timestamp,
    /// How many attempts ended and settled nothing.
    pub(crate) count: u32,
    /// One of them may have happened.
    pub(crate) doubt: bool,
    /// One of them may have happened without a key the peer knows.
    pub(crate) bare: bool,
    /// When the last one ended.
    pub(crate) last: Timestamp,
    /// When the next one is due.
    pub(crate) due: Timestamp,
    /// Rises by a person's word only.
    pub(crate) generation: u32,
}

impl Tries {
    /// Whether another attempt cannot make it happen twice.
    pub(crate) fn may_repeat(&self, policy: &Policy, now: Timestamp) -> bool {
        !self.doubt
            || match policy.repeat {
                Repeat::Idempotent => true,
                Repeat::Never => false,
                Repeat::ByKey => !self.bare && now.since(self.begun) < policy.window,
            }
    }

    pub(super) fn begin(&mut self, at: Timestamp) {
        *self = Self {
            begun: at,
            last: at,
            generation: self.generation,
            ..Self::default()
        };
    }

    /// A fresh budget. What is in doubt stays so.
    pub(super) fn renew(&mut self, at: Timestamp) {
        self.count = 0;
        self.due = at;
    }
}

/// Why an effect waits for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stuck {
    pub(crate) direction: Direction,
    pub(crate) why: Why,
}

/// One step's part of the sum.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct StepState {
    pub(crate) stage: Stage,
    pub(crate) output: Option<Value>,
    pub(crate) forward: Tries,
    pub(crate) undo: Tries,
    pub(crate) probe: Tries,
    pub(crate) stuck: Option<Stuck>,
    /// What the last attempt or probe said.
    pub(crate) why: Option<Why>,
}

impl StepState {
    /// The attempts in this direction.
    pub(crate) const fn tries(&self, direction: Direction) -> &Tries {
        match direction {
            Direction::Forward => &self.forward,
            Direction::Undo => &self.undo,
        }
    }

    pub(super) fn tries_mut(&mut self, direction: Direction) -> &mut Tries {
        match direction {
            Direction::Forward => &mut self.forward,
            Direction::Undo => &mut self.undo,
        }
    }
}

pub(super) const fn on_its_way(direction: Direction) -> Stage {
    match direction {
        Direction::Forward => Stage::Intended,
        Direction::Undo => Stage::Undoing,
    }
}

/// Why a saga turned back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Turned {
    pub(crate) step: Option<StepIndex>,
    pub(crate) why: Why,
}

/// The sum of a saga's records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) specs: Arc<[Spec]>,
    /// After how long it turns back.
    deadline: Option<Duration>,
    created: Timestamp,
    pub(crate) input: Value,
    pub(crate) steps: Vec<StepState>,
    pub(crate) unwinding: Option<Turned>,
    pub(crate) cancel: Option<Why>,
    pub(crate) ended: Option<EndState>,
    pub(crate) abandoned: bool,
    /// How often in a row it was taken up without getting any further.
    pub(crate) resumed: u32,
    pub(crate) records: u64,
}

impl PartialEq for Spec {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Spec {}

impl Progress {
    /// A saga with no records yet.
    pub(crate) fn new(specs: Arc<[Spec]>, deadline: Option<Duration>) -> Self {
        let steps = vec![StepState::default(); specs.len()];
        Self {
            specs,
            deadline,
            created: Timestamp::EPOCH,
            input: Value::Null,
            steps,
            unwinding: None,
            cancel: None,
            ended: None,
            abandoned: false,
            resumed: 0,
            records: 0,
        }
    }

    /// Where the saga stands, in the journal's words.
    pub(crate) fn state(&self) -> SagaState {
        match (self.ended, &self.unwinding) {
            (Some(ended), _) => ended.into(),
            (None, Some(_)) => SagaState::Unwinding,
            (None, None) => SagaState::Running,
        }
    }

    /// Whether the point of no return is behind it.
    pub(crate) fn is_past_pivot(&self) -> bool {
        let done = |(spec, step): (&Spec, &StepState)| spec.kind == Kind::Pivot && step.stage == Stage::Done;
        self.specs.iter().zip(&self.steps).any(done)
    }

    /// Why it should turn back although nothing was refused.
    pub(crate) fn asked_back(&self, now: Timestamp) -> Option<Why> {
        let late = self
            .deadline
            .filter(|deadline| now.since(self.created) >= *deadline)
            .map(|deadline| Why::new(format!("not done within {deadline:?}")));
        self.cancel.clone().or(late).filter(|_| !self.is_past_pivot())
    }

    /// Whether a later step's compensation has taken the place of this one's. One that found nothing to undo has not: a capture that
    /// never happened leaves an authorization that must be voided.
    pub(crate) fn superseded_by(&self, step: StepIndex) -> Option<StepIndex> {
        let replaces = |later: StepIndex| {
            let state = &self.steps[later];
            let undone = state.stage == Stage::Undone(Undone::Reverted);
            let stuck = matches!(&state.stuck, Some(stuck) if stuck.direction == Direction::Undo);
            self.specs[later].supersedes.contains(&step) && (undone || stuck)
        };
        (step + 1..self.steps.len()).find(|later| replaces(*later))
    }

    /// What was begun and has not ended.
    pub(crate) fn on_its_way(&self) -> impl Iterator<Item = (StepIndex, Direction)> + '_ {
        self.steps
            .iter()
            .enumerate()
            .filter_map(|(step, state)| match state.stage {
                Stage::Intended => Some((step, Direction::Forward)),
                Stage::Undoing if state.stuck.is_none() => Some((step, Direction::Undo)),
                _ => None,
            })
    }

    /// Adds a record that was read.
    ///
    /// # Errors
    /// [`Unreadable`] when it speaks of a step that the definition does not have.
    pub(crate) fn read(&mut self, at: usize, record: &Record) -> Result<(), Unreadable> {
        match record.step() {
            Some(step) if step >= self.steps.len() => Err(Unreadable {
                at,
                why: format!(
                    "it speaks of step {step}, the definition has {}",
                    self.steps.len()
                ),
            }),
            _ => {
                self.apply(record);
                Ok(())
            }
        }
    }

    /// Adds a record of this definition.
    pub(crate) fn apply(&mut self, record: &Record) {
        self.records += 1;
        if !matches!(record, Record::Resumed { .. }) {
            self.resumed = 0;
        }
        match record {
            Record::Created { input, at, .. } => {
                self.input = input.clone();
                self.created = *at;
            }
            Record::UnwindBegun { step, why } => {
                self.unwinding = Some(Turned {
                    step: *step,
                    why: why.clone(),
                });
            }
            Record::Resumed { at } => self.resume(*at),
            Record::CancelAsked { actor, reason, .. } => {
                self.cancel = Some(Why::new(format!("cancelled by {actor}: {reason}")));
            }
            Record::Operated { verb, at, .. } => self.operate(verb, *at),
            Record::Ended { state } => self.ended = Some(*state),
            of_a_step => self.apply_to_step(of_a_step),
        }
    }

    fn apply_to_step(&mut self, record: &Record) {
        let Some(step) = record.step().and_then(|step| self.steps.get_mut(step)) else {
            return;
        };
        match record {
            Record::Intended { direction, at, .. } => {
                step.stage = on_its_way(*direction);
                step.tries_mut(*direction).begin(*at);
                step.probe.renew(*at);
            }
            Record::Again {
                direction,
                doubt,
                keyed,
                why,
                at,
                due,
                ..
            } => {
                step.why = Some(why.clone());
                let tries = step.tries_mut(*direction);
                tries.count = tries.count.saturating_add(1);
                tries.doubt |= doubt;
                tries.bare |= doubt & !keyed;
                tries.last = *at;
                tries.due = *due;
            }
            Record::Asked { why, due, .. } => {
                step.why = Some(why.clone());
                step.probe.count = step.probe.count.saturating_add(1);
                step.probe.due = *due;
            }
            Record::Done { output, .. } => {
                step.stage = Stage::Done;
                step.output = Some(output.clone());
            }
            Record::Refused { why, .. } => {
                step.why = Some(why.clone());
                // the doubt that stood is gone: the peer's last word holds for every attempt, or the probe found nothing
                step.stage = if step.forward.doubt {
                    Stage::Absent
                } else {
                    Stage::Refused
                };
            }
            Record::Unresolved { why, .. } => {
                step.why = Some(why.clone());
                step.stage = Stage::InDoubt;
            }
            Record::Undone { how, .. } => step.stage = Stage::Undone(*how),
            Record::Stuck { direction, why, .. } => {
                step.stuck = Some(Stuck {
                    direction: *direction,
                    why: why.clone(),
                });
            }
            _ => {}
        }
    }

    /// What was on its way when the last engine was lost may have happened.
    fn resume(&mut self, at: Timestamp) {
        self.resumed = self.resumed.saturating_add(1);
        for step in &mut self.steps {
            let tries = match step.stage {
                Stage::Intended => &mut step.forward,
                Stage::Undoing => &mut step.undo,
                _ => continue,
            };
            tries.doubt = true;
            tries.last = tries.last.max(at);
        }
    }
}
