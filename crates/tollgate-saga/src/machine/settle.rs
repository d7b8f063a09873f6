//! What an answer means, as records.

use super::progress::Progress;
use super::record::{Direction, Record, StepIndex};
use super::spec::Kind;
use crate::outcome::{Doubt, Outcome, Probed, Refusal, RefusalKind, Undone, Why};
use serde_json::Value;
use std::time::Duration;
use tollgate_core::Timestamp;

/// What an attempt brought back.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The step happened.
    Done(Value),
    /// The compensation is through.
    Undone(Undone),
    /// Nothing happened in this attempt.
    Refused(Refusal),
    /// Something may have happened in this attempt.
    Unknown(Doubt),
    /// It cannot go on without a person: what it needs or what it gave has no stored form.
    Broken(Why),
}

/// What is asked: which step, which way, when it was answered, and any number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asking {
    pub(crate) step: StepIndex,
    pub(crate) direction: Direction,
    pub(crate) now: Timestamp,
    pub(crate) seed: u64,
}

/// The record of an attempt's end. `keyed` says whether a key went with it that the peer recognises.
pub(crate) fn settle_answer(progress: &Progress, asking: Asking, answer: Answer, keyed: bool) -> Record {
    let Asking { step, direction, .. } = asking;
    match answer {
        Answer::Done(output) => Record::Done { step, output },
        Answer::Undone(how) => Record::Undone { step, how },
        Answer::Broken(why) => Record::Stuck { step, direction, why },
        Answer::Unknown(doubt) => again(progress, asking, Some(keyed), doubt.why(), doubt.retry_after()),
        Answer::Refused(refusal) => refused(progress, asking, &refusal, keyed),
    }
}

fn refused(progress: &Progress, asking: Asking, refusal: &Refusal, keyed: bool) -> Record {
    let Asking { step, direction, .. } = asking;
    let tries = progress.steps[step].tries(direction);
    let why = Why::new(refusal.why().to_owned());
    // a no speaks for earlier attempts only if it is the peer's last word under the one key they all carried
    let settles = match refusal.kind() {
        RefusalKind::Final => !tries.doubt || (keyed && !tries.bare),
        RefusalKind::Hopeless => !tries.doubt,
        RefusalKind::Passing => false,
    };
    match direction {
        Direction::Forward if settles => Record::Refused { step, why },
        Direction::Undo if refusal.kind() != RefusalKind::Passing => Record::Stuck { step, direction, why },
        _ => again(progress, asking, None, refusal.why(), refusal.retry_after()),
    }
}

/// `keyed` is `None` when this attempt certainly did nothing.
fn again(
    progress: &Progress,
    asking: Asking,
    keyed: Option<bool>,
    why: &str,
    said: Option<Duration>,
) -> Record {
    let Asking {
        step,
        direction,
        now,
        seed,
    } = asking;
    let spec = &progress.specs[step];
    let policy = match direction {
        Direction::Forward => &spec.forward,
        Direction::Undo => &spec.undo,
    };
    let tries = progress.steps[step].tries(direction).count.saturating_add(1);
    Record::Again {
        step,
        direction,
        doubt: keyed.is_some(),
        keyed: keyed.unwrap_or(true),
        why: Why::new(why.to_owned()),
        at: now,
        due: policy.next_try(tries, said, seed, now),
    }
}

/// The record of a probe's end.
pub(crate) fn settle_probe(progress: &Progress, asking: Asking, found: Outcome<Probed<Value>>) -> Record {
    let Asking { step, now, seed, .. } = asking;
    let (spec, state) = (&progress.specs[step], &progress.steps[step]);
    let (why, said) = match found {
        Outcome::Done(Probed::Found(output)) => return Record::Done { step, output },
        Outcome::Done(Probed::NotFound) => {
            let quiet_until = state.forward.last.saturating_add(spec.probe.quiet);
            let why = Why::new("the peer knows nothing of it");
            if now < quiet_until {
                // it may still be on its way: a late arrival after "not found" is how money is lost
                return Record::Asked {
                    step,
                    why,
                    due: quiet_until,
                };
            }
            return absent(spec.kind, step, why, now);
        }
        Outcome::Done(Probed::Pending) => ("the peer is still working on it".to_owned(), None),
        Outcome::Refused(refusal) => (refusal.why().to_owned(), refusal.retry_after()),
        Outcome::Unknown(doubt) => (doubt.why().to_owned(), doubt.retry_after()),
    };
    let due = spec
        .probe
        .next_try(state.probe.count.saturating_add(1), said, seed, now);
    Record::Asked {
        step,
        why: Why::new(why),
        due,
    }
}

/// Proved absent: a retriable step is sent again under the same key, any other counts as refused.
fn absent(kind: Kind, step: StepIndex, why: Why, now: Timestamp) -> Record {
    if kind == Kind::Retriable {
        Record::Intended {
            step,
            direction: Direction::Forward,
            at: now,
        }
    } else {
        Record::Refused { step, why }
    }
}
