//! Drives one saga: what the rules say, in order.

use super::Shared;
use super::commit::{Held, Lost};
use super::live::Left;
use crate::machine::{
    Action, Answer, Asking, Direction, Place, Record, StepIndex, advance, settle_answer, settle_probe,
};
use crate::outcome::{Doubt, Outcome, Probed, Refusal, Why};
use crate::policy::{Policy, mixed};
use crate::step::{Attempting, Calling, seed};
use serde_json::Value;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use tokio::time::{Instant, timeout};
use tollgate_core::store::saga::SagaJournal;
use tollgate_core::{Deadline, Effect, KeyInForce, Timestamp};
use tracing::Instrument;

impl<J: SagaJournal> Shared<J> {
    /// Runs a saga in a task of its own, from this action on. Everything before it is committed.
    pub(crate) fn spawn(&self, mut held: Held<J>, action: Action) {
        let live = Arc::clone(&held.live);
        let span =
            tracing::info_span!(target: "tollgate::saga", "saga", id = %held.id, name = %held.plan.name);
        let whole = async move {
            let left = held.drive(action).await;
            live.left.send_replace(left);
            // with `held` and `live` the sender goes: a waiter that finds no sum there asks the journal
        };
        self.tracker.spawn(whole.instrument(span));
    }
}

impl<J: SagaJournal> Held<J> {
    async fn drive(&mut self, mut action: Action) -> Left {
        loop {
            let mut batch = Vec::new();
            let done = match action {
                Action::Rest(state) => {
                    tracing::info!(target: "tollgate::saga", ?state, "the saga rests");
                    return Some(Arc::new(self.progress.clone()));
                }
                Action::Wait { until } => self.wait(until).await,
                Action::Attempt { step, direction } => self
                    .attempt(step, direction)
                    .await
                    .map(|record| batch.push(record)),
                Action::Probe { step } => self.probe(step).await.map(|record| batch.push(record)),
            };
            match done {
                Ok(()) => {}
                Err(lost) => return self.lost(&lost).await,
            }
            action = match self.go_on(batch).await {
                Ok(action) => action,
                Err(lost) => return self.lost(&lost).await,
            };
        }
    }

    /// Adds records, sees what follows from them, and commits it all at once: a step's result and the next one's intent are one write.
    pub(crate) async fn go_on(&mut self, mut batch: Vec<Record>) -> Result<Action, Lost> {
        let now = self.now();
        if let Some(ask) = self.live.take_ask()
            && !self.progress.is_past_pivot()
            && self.progress.unwinding.is_none()
        {
            batch.push(Record::CancelAsked {
                actor: ask.actor,
                reason: ask.reason,
                at: now,
            });
        }
        for record in &batch {
            self.progress.apply(record);
        }
        let action = advance(&mut self.progress, &mut batch, now);
        for record in &batch {
            tell(record, &self.progress.specs);
        }
        self.commit(&batch).await?;
        Ok(action)
    }

    async fn lost(&self, lost: &Lost) -> Left {
        match lost {
            Lost::Closing => {
                tracing::info!(target: "tollgate::saga", "left to another engine: this one is closing");
                self.release().await;
            }
            lost => {
                tracing::error!(target: "tollgate::saga", ?lost, "the saga is left where it stands, to be taken up again")
            }
        }
        None
    }

    /// Until then, or until somebody asks for something.
    async fn wait(&mut self, until: Timestamp) -> Result<(), Lost> {
        let now = self.now();
        let live = Arc::clone(&self.live);
        let mut closing = self.shared.closing.subscribe();
        let pause = async {
            tokio::select! {
                () = tokio::time::sleep(until.since(now)) => Ok(true),
                () = live.wake.notified() => Ok(false),
                _ = closing.wait_for(|closing| *closing) => Err(Lost::Closing),
            }
        };
        if self.keeping(pause).await?? {
            self.latest = self.latest.max(until);
        }
        Ok(())
    }

    async fn attempt(&mut self, step: StepIndex, direction: Direction) -> Result<Record, Lost> {
        let spec = &self.progress.specs[step];
        let policy = match direction {
            Direction::Forward => spec.forward,
            Direction::Undo => spec.undo,
        };
        self.freshen().await?;
        let call = self.call(step, direction, &policy);
        let key = call.key.clone();
        let Some(made) = self.make(step, direction, call) else {
            return Ok(broken(step, direction));
        };
        let ended = match made {
            Ok(running) => self.keeping(timeout(policy.timeout, caught(running))).await?,
            Err(panic) => Ok(Err(panic)),
        };
        let answer = match ended {
            Ok(Ok(answer)) => answer,
            Ok(Err(Panicked)) => Answer::Unknown(Doubt::new("it panicked")),
            Err(_) => Answer::Unknown(Doubt::new(format!("no answer within {:?}", policy.timeout))),
        };
        let asking = self.asking(step, direction);
        Ok(settle_answer(
            &self.progress,
            asking,
            weighed(answer, &key),
            key.is_taken(),
        ))
    }

    /// The attempt's future. Making it runs the step's own code, which may panic as well.
    fn make(
        &self,
        step: StepIndex,
        direction: Direction,
        call: Calling,
    ) -> Option<Result<Attempting, Panicked>> {
        let erased = &self.plan.steps[step];
        let values = self.values(step);
        match direction {
            Direction::Forward => Some(caught_now(|| (erased.run)(call, &values))),
            Direction::Undo => {
                let undo = erased.undo.as_ref()?;
                let output = self.progress.steps[step].output.as_ref();
                Some(caught_now(|| undo(call, &values, output)))
            }
        }
    }

    async fn probe(&mut self, step: StepIndex) -> Result<Record, Lost> {
        let policy = self.progress.specs[step].probe;
        let call = self.call(step, Direction::Forward, &policy);
        let made = match &self.plan.steps[step].probe {
            Some(probe) => caught_now(|| probe(call, &self.values(step))),
            None => return Ok(broken(step, Direction::Forward)),
        };
        let ended = match made {
            Ok(asking) => self.keeping(timeout(policy.timeout, caught(asking))).await?,
            Err(panic) => Ok(Err(panic)),
        };
        let found: Outcome<Probed<Value>> = match ended {
            Ok(Ok(found)) => found,
            Ok(Err(Panicked)) => Outcome::Unknown(Doubt::new("the probe panicked")),
            Err(_) => Outcome::Unknown(Doubt::new("the probe got no answer in time")),
        };
        let asking = self.asking(step, Direction::Forward);
        Ok(settle_probe(&self.progress, asking, found))
    }

    fn call(&self, step: StepIndex, direction: Direction, policy: &Policy) -> Calling {
        let (spec, state) = (&self.progress.specs[step], &self.progress.steps[step]);
        let key = |direction| {
            let generation = state.tries(direction).generation;
            KeyInForce::for_step(&seed(self.id, spec.name, direction, generation))
        };
        Calling {
            saga: self.id,
            business_key: Arc::clone(&self.key),
            step: spec.name,
            attempt: state.tries(direction).count,
            deadline: Deadline::at((Instant::now() + policy.timeout).into_std()),
            key: key(direction),
            forward: key(Direction::Forward),
        }
    }

    fn asking(&mut self, step: StepIndex, direction: Direction) -> Asking {
        let now = self.now();
        let random = self
            .id
            .0
            .iter()
            .fold(self.progress.records, |sum, byte| mixed(sum ^ u64::from(*byte)));
        Asking {
            step,
            direction,
            now,
            seed: random,
        }
    }

    fn values(&self, step: StepIndex) -> Vec<&Value> {
        values(&self.progress, &self.progress.specs[step].inputs)
    }
}

/// What stands at these places.
pub(crate) fn values<'p>(progress: &'p crate::machine::Progress, places: &[Place]) -> Vec<&'p Value> {
    static NOTHING: Value = Value::Null;
    let at = |place: &Place| match place {
        Place::Start => &progress.input,
        Place::Step(step) => progress.steps[*step].output.as_ref().unwrap_or(&NOTHING),
    };
    places.iter().map(at).collect()
}

fn broken(step: StepIndex, direction: Direction) -> Record {
    let why = Why::new("the definition has no function for this");
    Record::Stuck { step, direction, why }
}

/// The sum over all attempts that layers inside the step made: the last error alone can lie about the ones before it.
fn weighed(answer: Answer, key: &KeyInForce) -> Answer {
    use crate::outcome::RefusalKind;
    let Answer::Refused(refusal) = answer else {
        return answer;
    };
    let last = match refusal.kind() {
        RefusalKind::Final => Effect::Declined,
        RefusalKind::Hopeless | RefusalKind::Passing => Effect::NotSent,
    };
    match key.ledger().total(last) {
        Effect::NotSent | Effect::TurnedAway => Answer::Refused(refusal),
        Effect::Declined => Answer::Refused(Refusal::new(refusal.why().to_owned())),
        Effect::Executed | Effect::Unknown => Answer::Unknown(Doubt::new(refusal.why().to_owned())),
    }
}

struct Panicked;

fn caught_now<T>(make: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(make)).map_err(|_| Panicked)
}

/// The future's output, or that it panicked.
async fn caught<F: Future>(future: F) -> Result<F::Output, Panicked> {
    let mut future = pin!(future);
    poll_fn(|cx| match caught_now(|| future.as_mut().poll(cx)) {
        Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
        Ok(Poll::Pending) => Poll::Pending,
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}

/// For people: what went on. Payloads are never told.
fn tell(record: &Record, specs: &[crate::machine::Spec]) {
    let name = record.step().map_or("-", |step| specs[step].name);
    match record {
        Record::Again {
            direction,
            doubt,
            why,
            ..
        } => {
            let direction = direction.as_str();
            tracing::warn!(target: "tollgate::saga", step = name, direction, doubt, %why, "an attempt settled nothing");
        }
        Record::UnwindBegun { why, .. } => {
            tracing::warn!(target: "tollgate::saga", step = name, %why, "the saga turns back")
        }
        Record::Stuck { direction, why, .. } => {
            let direction = direction.as_str();
            tracing::error!(target: "tollgate::saga", step = name, direction, %why, "an effect waits for a person");
        }
        Record::Unresolved { why, .. } => {
            tracing::error!(target: "tollgate::saga", step = name, %why, "nobody knows what became of a step");
        }
        _ => {}
    }
}
