//! Steps that wait at the same moment, in one script for all of them.
//!
//! The scripts know the short ways only, and answer whether each was taken. What they leave undone goes alone after that, all at once,
//! each to the script that knows the whole rule. So it is when the server refuses a script as a whole: nothing was written, and there
//! may be answers to read. Only a script whose answer is lost leaves everybody in doubt.

use super::alone::Settle;
use super::answers::first;
use crate::error::unreadable;
use crate::record;
use crate::reply::{Reply, flag};
use crate::script::micros;
use crate::server::Server;
use std::time::Duration;
use tokio::task::JoinSet;
use tollgate_core::store::idempotency::{Begin, Begun, RecordKey, Settled};
use tollgate_core::store::together::{self, Batch, Limits};
use tollgate_core::store::{Boxed, StoreError};

/// The server does nothing else while a script runs: some 5 µs a step, and what it takes to copy the answers. A second one is sent
/// meanwhile only for many: a script by itself costs the server as much as a step or two, and on a disk a flush.
const LIMITS: Limits = Limits {
    at_once: 2,
    beside: 16,
    steps: 64,
    bytes: 256 << 10,
    patience: Duration::from_millis(100),
};

/// What waits for a server.
pub(crate) struct Together(together::Together<Steps>);

impl Together {
    pub(crate) fn at(server: &Server) -> Self {
        Self(together::Together::new(Steps(server.clone()), LIMITS))
    }

    pub(super) fn begin(&self, begin: Begin) -> Boxed<Begun> {
        let asked = self.0.ask(Step::Begin(begin));
        Box::pin(async move {
            match asked.await? {
                Answer::Begun(begun) => Ok(begun),
                Answer::Settled(_) => Err(unanswered()),
            }
        })
    }

    pub(super) fn settle(&self, settle: Settle) -> Boxed<Settled> {
        let asked = self.0.ask(Step::Settle(settle));
        Box::pin(async move {
            match asked.await? {
                Answer::Settled(settled) => Ok(settled),
                Answer::Begun(_) => Err(unanswered()),
            }
        })
    }
}

/// What goes together.
pub(crate) enum Step {
    Begin(Begin),
    Settle(Settle),
}

pub(crate) enum Answer {
    Begun(Begun),
    Settled(Settled),
}

impl Step {
    /// What it is answered when it took the short way.
    fn done(&self) -> Answer {
        match self {
            Self::Begin(begin) => Answer::Begun(first(begin)),
            Self::Settle(_) => Answer::Settled(Settled::Applied),
        }
    }

    fn key(&self) -> &RecordKey {
        match self {
            Self::Begin(begin) => &begin.key,
            Self::Settle(settle) => &settle.token.key,
        }
    }
}

struct Steps(Server);

impl Batch for Steps {
    type Step = Step;
    type Answer = Answer;

    fn run(&self, steps: Vec<Step>) -> Boxed<Vec<Result<Answer, StoreError>>> {
        let server = self.0.clone();
        Box::pin(async move {
            if let [step] = &steps[..] {
                return Ok(vec![server.alone(step).await]);
            }
            let done = match server.together(&steps).await {
                Ok(done) => done,
                Err(error) if error.may_have_happened() => return Err(error),
                Err(_) => vec![false; steps.len()],
            };
            Ok(finish(&server, steps, done).await)
        })
    }

    fn size(&self, step: &Step) -> usize {
        match step {
            Step::Begin(_) => 512,
            Step::Settle(settle) => 512 + settle.answer.len(),
        }
    }
}

impl Server {
    async fn alone(&self, step: &Step) -> Result<Answer, StoreError> {
        match step {
            Step::Begin(begin) => self.begin(begin).await.map(Answer::Begun),
            Step::Settle(settle) => self.settle(settle).await.map(Answer::Settled),
        }
    }

    /// Which of these steps took their short ways.
    pub(crate) async fn together(&self, steps: &[Step]) -> Result<Vec<bool>, StoreError> {
        let script = &self.scripts().together;
        let mut order: Vec<(usize, &Step)> = steps.iter().enumerate().collect();
        order.sort_by_key(|(_, step)| matches!(step, Step::Settle(_)));
        let begins = steps.iter().filter(|step| matches!(step, Step::Begin(_))).count();
        let mut question = script.over(1 + steps.len());
        question.arg(&self.indexes()[0]);
        for (_, step) in &order {
            question.arg(self.record_key(step.key()));
        }
        question.arg(begins).arg(micros(self.forget_after()));
        for (_, step) in &order {
            question.arg(step.key().as_bytes());
            match step {
                Step::Begin(begin) => question
                    .arg(record::claim(begin, &micros(begin.retention)))
                    .arg(micros(begin.lease)),
                Step::Settle(settle) => question.arg(record::holder(&settle.token)).arg(&settle.answer),
            };
        }
        let flags = self
            .ask(script, question, |reply| flags(reply, steps.len()))
            .await?;
        let mut done = vec![false; steps.len()];
        for ((place, _), flag) in order.into_iter().zip(flags) {
            if let Some(done) = done.get_mut(place) {
                *done = flag;
            }
        }
        Ok(done)
    }
}

/// One flag for each step.
fn flags(mut reply: Reply, steps: usize) -> Result<Vec<bool>, StoreError> {
    let flags = reply.bytes()?;
    if flags.len() != steps {
        return Err(unreadable());
    }
    flags.iter().map(|each| flag(&[*each])).collect()
}

/// The answers of those that are done; the others are asked alone for theirs.
async fn finish(server: &Server, steps: Vec<Step>, done: Vec<bool>) -> Vec<Result<Answer, StoreError>> {
    let (mut answers, mut asked) = (Vec::with_capacity(steps.len()), JoinSet::new());
    for (place, (step, done)) in steps.into_iter().zip(done).enumerate() {
        if done {
            answers.push(Ok(step.done()));
        } else {
            answers.push(Err(unanswered()));
            let server = server.clone();
            asked.spawn(async move { (place, server.alone(&step).await) });
        }
    }
    while let Some(ended) = asked.join_next().await {
        // one that panicked has no answer, and may have happened
        if let Ok((place, answer)) = ended
            && let Some(slot) = answers.get_mut(place)
        {
            *slot = answer;
        }
    }
    answers
}

fn unanswered() -> StoreError {
    StoreError::unavailable("the step ended without an answer").possibly_applied()
}
