//! The rules without an engine: every answer, in every order, with a crash between any two, over the real reducer.

use crate::machine::{
    Action, Answer, Asking, Direction, EndState, Kind, Progress, Record, Spec, Stage, advance, settle_answer,
    settle_probe,
};
use crate::{Doubt, Outcome, Policy, Probed, Refusal, Undone};
use serde_json::Value;
use std::collections::{BTreeSet, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tollgate_core::Timestamp;

pub(super) const NOW: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);

pub(super) fn policy() -> Policy {
    // time stands still here: nothing is ever waited for
    Policy::default()
        .attempts(2)
        .backoff(Duration::ZERO)
        .quiet(Duration::ZERO)
}

fn spec(name: &'static str, kind: Kind, undo: bool, probe: bool) -> Spec {
    Spec {
        name,
        kind,
        inputs: Vec::new(),
        supersedes: Vec::new(),
        has_effect: true,
        has_undo: undo,
        has_probe: probe,
        park_in_doubt: false,
        forward: policy(),
        undo: policy(),
        probe: policy(),
    }
}

/// Reserve, capture (superseding it), a pivot, a retriable step.
pub(super) fn specs(probe: bool, park_in_doubt: bool) -> Arc<[Spec]> {
    let hold = spec("hold", Kind::Compensable, true, probe);
    let mut capture = spec("capture", Kind::Compensable, true, probe);
    capture.supersedes.push(0);
    capture.park_in_doubt = park_in_doubt;
    let decide = spec("decide", Kind::Pivot, false, probe);
    let tell = spec("tell", Kind::Retriable, false, probe);
    [hold, capture, decide, tell].into()
}

/// A saga's sum and what is true at its peers.
#[derive(Clone)]
struct State {
    progress: Progress,
    happened: BTreeSet<usize>,
    undone: BTreeSet<usize>,
    crashes: u32,
}

impl State {
    fn start(specs: &Arc<[Spec]>) -> Self {
        let mut progress = Progress::new(Arc::clone(specs), None);
        progress.apply(&Record::Created {
            version: 1,
            shape: String::new(),
            input: Value::Null,
            at: NOW,
        });
        Self {
            progress,
            happened: BTreeSet::new(),
            undone: BTreeSet::new(),
            crashes: 0,
        }
    }

    fn key(&self) -> String {
        let mut progress = self.progress.clone();
        progress.records = 0;
        // a retriable step counts its attempts without end, and decides nothing by it
        progress.steps[3].forward.count = 0;
        format!(
            "{:?} {:?} {:?} {}",
            progress, self.happened, self.undone, self.crashes
        )
    }

    fn apply(&mut self, record: &Record) {
        self.progress.apply(record);
    }

    fn open(&self, step: usize) -> bool {
        self.happened.contains(&step) && !self.undone.contains(&step)
    }
}

/// How a peer may treat one request: what it does, and what we hear.
#[derive(Clone, Copy, Debug)]
struct Way {
    does: bool,
    hears: Hears,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hears {
    Truth,
    Nothing,
    NotSent,
    /// The process dies before it hears.
    Crash,
}

const WAYS: [Way; 7] = [
    Way {
        does: true,
        hears: Hears::Truth,
    },
    Way {
        does: false,
        hears: Hears::Truth,
    },
    Way {
        does: true,
        hears: Hears::Nothing,
    },
    Way {
        does: false,
        hears: Hears::Nothing,
    },
    Way {
        does: false,
        hears: Hears::NotSent,
    },
    Way {
        does: true,
        hears: Hears::Crash,
    },
    Way {
        does: false,
        hears: Hears::Crash,
    },
];

/// Everything that may follow one action.
fn successors(state: &State, action: Action, lies: bool, crashes: u32) -> Vec<State> {
    let asking = |step, direction| Asking {
        step,
        direction,
        now: NOW,
        seed: 0,
    };
    let mut all = Vec::new();
    match action {
        Action::Rest(_) => {}
        Action::Wait { .. } => panic!("time stands still"),
        Action::Probe { step } => {
            for told in [true, false] {
                let found = match (told, state.happened.contains(&step)) {
                    (true, true) => Outcome::Done(Probed::Found(Value::Null)),
                    (true, false) => Outcome::Done(Probed::NotFound),
                    (false, _) => Outcome::Unknown(Doubt::new("-")),
                };
                let mut next = state.clone();
                let record = settle_probe(&next.progress, asking(step, Direction::Forward), found);
                next.apply(&record);
                all.push(next);
            }
        }
        Action::Attempt { step, direction } => {
            for way in WAYS {
                if way.hears == Hears::Crash && state.crashes >= crashes {
                    continue;
                }
                let mut next = state.clone();
                let answer = happen(&mut next, step, direction, way, lies);
                match answer {
                    Some(answer) => {
                        let record = settle_answer(&next.progress, asking(step, direction), answer, true);
                        next.apply(&record);
                    }
                    None => {
                        next.crashes += 1;
                        next.apply(&Record::Resumed { at: NOW });
                    }
                }
                all.push(next);
            }
        }
    }
    all
}

fn happen(state: &mut State, step: usize, direction: Direction, way: Way, lies: bool) -> Option<Answer> {
    match direction {
        Direction::Forward => {
            // a peer that has done it under this key answers so for ever
            let known = state.happened.contains(&step);
            if way.does {
                state.happened.insert(step);
            }
            match way.hears {
                Hears::Truth if way.does || known => Some(Answer::Done(Value::Null)),
                Hears::Truth => Some(Answer::Refused(Refusal::new("no"))),
                Hears::Nothing => Some(Answer::Unknown(Doubt::new("-"))),
                Hears::NotSent => Some(Answer::Refused(Refusal::not_sent("-"))),
                Hears::Crash => None,
            }
        }
        Direction::Undo => {
            let there = state.happened.contains(&step);
            if way.does && there && !lies {
                state.undone.insert(step);
            }
            match way.hears {
                Hears::Truth if !there => Some(Answer::Undone(Undone::NothingThere)),
                Hears::Truth if way.does || state.undone.contains(&step) => {
                    Some(Answer::Undone(Undone::Reverted))
                }
                Hears::Truth => Some(Answer::Refused(Refusal::new("no"))),
                Hears::Nothing => Some(Answer::Unknown(Doubt::new("-"))),
                Hears::NotSent => Some(Answer::Refused(Refusal::not_sent("-"))),
                Hears::Crash => None,
            }
        }
    }
}

/// What is wrong with a state, if anything.
fn wrong(state: &State, action: Action) -> Option<&'static str> {
    let steps = &state.progress.steps;
    let unwinding = state.progress.unwinding.is_some();
    let pivot_done = steps[2].stage == Stage::Done;
    let said_nothing_about = |step: usize| {
        let told = steps[step].stuck.is_some() || steps[step].stage == Stage::Done;
        let covered = state.progress.superseded_by(step).is_some();
        !told
            && !covered
            && steps[step].stage != Stage::InDoubt
            && !matches!(steps[step].stage, Stage::Intended | Stage::Undoing)
    };
    match action {
        Action::Attempt {
            direction: Direction::Undo,
            ..
        } if !unwinding => Some("an undo before the unwind"),
        Action::Attempt {
            direction: Direction::Forward,
            ..
        } if unwinding => Some("forward during the unwind"),
        Action::Attempt {
            step,
            direction: Direction::Undo,
        } if state.progress.superseded_by(step).is_some() => Some("a superseded undo"),
        _ if unwinding && pivot_done => Some("an unwind behind the pivot"),
        Action::Rest(EndState::Compensated) if (0..4).any(|step| open(state, step)) => {
            Some("an open effect called compensated")
        }
        Action::Rest(EndState::Completed) if (0..4).any(|step| !state.open(step)) => {
            Some("a step is missing")
        }
        Action::Rest(EndState::Parked)
            if (0..4).any(|step| open(state, step) && said_nothing_about(step)) =>
        {
            Some("a parked saga that does not say what is open")
        }
        _ => None,
    }
}

/// A refunded capture has also given back what was held for it.
fn open(state: &State, step: usize) -> bool {
    let refunded = step == 0 && state.undone.contains(&1);
    state.open(step) && !refunded
}

struct Explored {
    states: usize,
    ends: HashSet<EndState>,
    wrong: Option<&'static str>,
}

fn explore(specs: &Arc<[Spec]>, lies: bool, crashes: u32) -> Explored {
    let mut seen = HashSet::new();
    let mut queue = VecDeque::from([State::start(specs)]);
    let mut explored = Explored {
        states: 0,
        ends: HashSet::new(),
        wrong: None,
    };
    while let Some(mut state) = queue.pop_front() {
        let mut batch = Vec::new();
        let action = advance(&mut state.progress, &mut batch, NOW);
        if !seen.insert(state.key()) {
            continue;
        }
        explored.states += 1;
        if let Some(wrong) = wrong(&state, action) {
            explored.wrong = Some(wrong);
            break;
        }
        if let Action::Rest(end) = action {
            explored.ends.insert(end);
        }
        queue.extend(successors(&state, action, lies, crashes));
    }
    explored
}

#[test]
fn every_way_through() {
    for probe in [false, true] {
        for park_in_doubt in [false, true] {
            // a crash of the recovery too, where the ways are the most
            let crashes = if probe && !park_in_doubt { 2 } else { 1 };
            let explored = explore(&specs(probe, park_in_doubt), false, crashes);
            assert_eq!(explored.wrong, None, "probe: {probe}, park: {park_in_doubt}");
            assert!(explored.states > 500, "{} states", explored.states);
            let all = [EndState::Completed, EndState::Compensated, EndState::Parked];
            assert_eq!(explored.ends, HashSet::from(all));
        }
    }
}

/// A twin that is broken on purpose: a compensation that says "undone" and undoes nothing must be found.
#[test]
fn the_check_bites() {
    assert_eq!(
        explore(&specs(true, false), true, 1).wrong,
        Some("an open effect called compensated")
    );
}
