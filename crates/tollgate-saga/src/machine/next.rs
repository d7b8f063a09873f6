//! What comes next.

use super::progress::{Progress, Stage};
use super::record::{Direction, EndState, Record, StepIndex};
use super::spec::{Kind, Spec};
use crate::outcome::Why;
use tollgate_core::Timestamp;

/// How often in a row a saga is taken up without getting any further, before a person has to look: it may be what kills its engines.
pub(crate) const POISON: u32 = 5;

/// Something to do, once every record before it is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Make an attempt.
    Attempt { step: StepIndex, direction: Direction },
    /// Ask the peer what became of it.
    Probe { step: StepIndex },
    /// Nothing before this time.
    Wait { until: Timestamp },
    /// Nothing at all.
    Rest(EndState),
}

enum Next {
    Write(Record),
    Do(Action),
}

/// Writes down all that follows from where the saga stands, and says what to do once it is committed.
pub(crate) fn advance(progress: &mut Progress, batch: &mut Vec<Record>, now: Timestamp) -> Action {
    loop {
        match progress.next(now) {
            Next::Write(record) => {
                progress.apply(&record);
                batch.push(record);
            }
            Next::Do(action) => return action,
        }
    }
}

fn due(at: Timestamp, now: Timestamp, action: Action) -> Next {
    Next::Do(if at > now {
        Action::Wait { until: at }
    } else {
        action
    })
}

const fn end(state: EndState) -> Next {
    Next::Write(Record::Ended { state })
}

impl Progress {
    fn next(&self, now: Timestamp) -> Next {
        if let Some(ended) = self.ended {
            return Next::Do(Action::Rest(ended));
        }
        if self.abandoned {
            return end(EndState::Abandoned);
        }
        let waits_for_a_person = |direction| {
            let stuck = |step: &super::StepState| {
                step.stuck
                    .as_ref()
                    .is_some_and(|stuck| stuck.direction == direction)
            };
            self.steps.iter().any(stuck)
        };
        if self.resumed > POISON || waits_for_a_person(Direction::Forward) {
            return end(EndState::Parked);
        }
        // what was begun is brought to a known end before anything else, also when the saga is to turn back
        if let Some(step) = self.position(|stage| stage == Stage::Intended) {
            return self.forward(step, now);
        }
        match &self.unwinding {
            None => self.onward(now),
            Some(_) => match self
                .steps
                .iter()
                .enumerate()
                .rev()
                .find(|(step, _)| self.needs_undo(*step))
            {
                Some((step, _)) => self.undo(step, now),
                None if waits_for_a_person(Direction::Undo) => end(EndState::Parked),
                None => end(EndState::Compensated),
            },
        }
    }

    fn position(&self, is: impl Fn(Stage) -> bool) -> Option<StepIndex> {
        self.steps.iter().position(|step| is(step.stage))
    }

    /// A step whose intent is written: again, ask, or admit that nobody knows.
    fn forward(&self, step: StepIndex, now: Timestamp) -> Next {
        let (spec, state) = (&self.specs[step], &self.steps[step]);
        let tries = &state.forward;
        let budget_left = spec.kind == Kind::Retriable || tries.count < spec.forward.attempts.max(1);
        if budget_left && tries.may_repeat(&spec.forward, now) {
            let direction = Direction::Forward;
            return due(tries.due, now, Action::Attempt { step, direction });
        }
        let why = state
            .why
            .clone()
            .unwrap_or_else(|| Why::new("the engine was lost while it was on its way"));
        if !tries.doubt || !spec.has_effect {
            return Next::Write(Record::Refused { step, why });
        }
        if spec.has_probe && state.probe.count < spec.probe.attempts.max(1) {
            return due(state.probe.due, now, Action::Probe { step });
        }
        Next::Write(Record::Unresolved { step, why })
    }

    /// No step is on its way and the saga has not turned back.
    fn onward(&self, now: Timestamp) -> Next {
        if let Some(step) =
            self.position(|stage| matches!(stage, Stage::Refused | Stage::Absent | Stage::InDoubt))
        {
            return self.turn_at(step);
        }
        let waiting = self.position(|stage| stage == Stage::Waiting);
        if waiting.is_some()
            && let Some(why) = self.asked_back(now)
        {
            return Next::Write(Record::UnwindBegun { step: None, why });
        }
        match waiting {
            Some(step) => Next::Write(Record::Intended {
                step,
                direction: Direction::Forward,
                at: now,
            }),
            None => end(EndState::Completed),
        }
    }

    /// A step did not happen, or nobody knows.
    fn turn_at(&self, step: StepIndex) -> Next {
        let (spec, state) = (&self.specs[step], &self.steps[step]);
        let why = state.why.clone().unwrap_or_else(|| Why::new("a person said so"));
        let in_doubt = state.stage == Stage::InDoubt;
        let stuck = spec.kind == Kind::Retriable || (in_doubt && (!spec.has_undo || spec.park_in_doubt));
        Next::Write(if stuck {
            Record::Stuck {
                step,
                direction: Direction::Forward,
                why,
            }
        } else {
            Record::UnwindBegun {
                step: Some(step),
                why,
            }
        })
    }

    fn needs_undo(&self, step: StepIndex) -> bool {
        let state = &self.steps[step];
        let happened = matches!(state.stage, Stage::Done | Stage::InDoubt | Stage::Undoing);
        happened && self.specs[step].has_undo && state.stuck.is_none() && self.superseded_by(step).is_none()
    }

    fn undo(&self, step: StepIndex, now: Timestamp) -> Next {
        let (spec, state): (&Spec, _) = (&self.specs[step], &self.steps[step]);
        let direction = Direction::Undo;
        if state.stage != Stage::Undoing {
            return Next::Write(Record::Intended {
                step,
                direction,
                at: now,
            });
        }
        let tries = &state.undo;
        if tries.count < spec.undo.attempts.max(1) && tries.may_repeat(&spec.undo, now) {
            return due(tries.due, now, Action::Attempt { step, direction });
        }
        let why = state
            .why
            .clone()
            .unwrap_or_else(|| Why::new("the engine was lost while it was undone"));
        Next::Write(Record::Stuck { step, direction, why })
    }
}
