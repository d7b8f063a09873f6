//! Steps that wait at the same moment, in one script for all of them.
//!
//! The scripts know the short ways only, and answer whether each was taken. What they leave undone goes alone after that, all at once,
//! each to the script that knows the whole rule. So it is when the server refuses a script as a whole: nothing was written, and there
//! may be answers to read. Only a script whose answer is lost leaves everybody in doubt.

use super::answers::first;
use super::steps::Settle;
use crate::error::unreadable;
use crate::record;
use crate::reply::{Reply, flag};
use crate::script::micros;
use crate::server::Server;
use std::time::Duration;
use tokio::task::JoinSet;
use tollgate_core::store::idempotency::{Begin, Begun, Settled};
use tollgate_core::store::together::{self, Batch, Limits};
use tollgate_core::store::{Boxed, StoreError};

/// The server does nothing else while a script runs: some 5 µs a step, and what it takes to copy the answers.
const LIMITS: Limits = Limits {
    at_once: 1,
    steps: 64,
    bytes: 256 << 10,
    patience: Duration::from_millis(100),
};

/// What waits for a server.
pub(crate) struct Together {
    begins: together::Together<Begins>,
    settlements: together::Together<Settlements>,
}

impl Together {
    pub(crate) fn at(server: &Server) -> Self {
        Self {
            begins: together::Together::new(Begins(server.clone()), LIMITS),
            settlements: together::Together::new(Settlements(server.clone()), LIMITS),
        }
    }

    pub(super) fn begin(&self, begin: Begin) -> Boxed<Begun> {
        self.begins.ask(begin)
    }

    pub(super) fn settle(&self, settle: Settle) -> Boxed<Settled> {
        self.settlements.ask(settle)
    }
}

struct Begins(Server);

impl Batch for Begins {
    type Step = Begin;
    type Answer = Begun;

    fn run(&self, steps: Vec<Begin>) -> Boxed<Vec<Result<Begun, StoreError>>> {
        let server = self.0.clone();
        Box::pin(async move {
            if let [begin] = &steps[..] {
                return Ok(vec![server.begin(begin).await]);
            }
            let taken = server.begin_together(&steps).await;
            let alone = |begin| {
                let server = server.clone();
                async move { server.begin(&begin).await }
            };
            finish(steps, taken, first, alone).await
        })
    }

    fn size(&self, _: &Begin) -> usize {
        512
    }
}

struct Settlements(Server);

impl Batch for Settlements {
    type Step = Settle;
    type Answer = Settled;

    fn run(&self, steps: Vec<Settle>) -> Boxed<Vec<Result<Settled, StoreError>>> {
        let server = self.0.clone();
        Box::pin(async move {
            if let [settle] = &steps[..] {
                return Ok(vec![server.settle(settle).await]);
            }
            let applied = server.settle_together(&steps).await;
            let alone = |settle| {
                let server = server.clone();
                async move { server.settle(&settle).await }
            };
            finish(steps, applied, |_| Settled::Applied, alone).await
        })
    }

    fn size(&self, settle: &Settle) -> usize {
        512 + settle.answer.len()
    }
}

impl Server {
    /// Which of these keys were free, and are taken now.
    pub(crate) async fn begin_together(&self, begins: &[Begin]) -> Result<Vec<bool>, StoreError> {
        let script = &self.scripts().begin_together;
        let mut question = script.over(1 + begins.len());
        question.arg(&self.indexes()[0]);
        for begin in begins {
            question.arg(self.record_key(&begin.key));
        }
        for begin in begins {
            question
                .arg(begin.key.as_bytes())
                .arg(record::claim(begin, &micros(begin.retention)))
                .arg(micros(begin.lease));
        }
        self.ask(script, question, |reply| flags(reply, begins.len()))
            .await
    }

    /// Which of these claims were armed, and are completed now.
    pub(crate) async fn settle_together(&self, settles: &[Settle]) -> Result<Vec<bool>, StoreError> {
        let script = &self.scripts().settle_together;
        let mut question = script.over(1 + settles.len());
        question.arg(&self.indexes()[0]);
        for settle in settles {
            question.arg(self.record_key(&settle.token.key));
        }
        question.arg(micros(self.forget_after()));
        for settle in settles {
            question
                .arg(settle.token.key.as_bytes())
                .arg(record::holder(&settle.token))
                .arg(&settle.answer);
        }
        self.ask(script, question, |reply| flags(reply, settles.len()))
            .await
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

/// Asks what is not done, alone.
async fn finish<S, A, F>(
    steps: Vec<S>,
    done: Result<Vec<bool>, StoreError>,
    answer: impl Fn(&S) -> A,
    alone: impl Fn(S) -> F,
) -> Result<Vec<Result<A, StoreError>>, StoreError>
where
    A: Send + 'static,
    F: Future<Output = Result<A, StoreError>> + Send + 'static,
{
    let done = match done {
        Ok(done) => done,
        Err(error) if error.may_have_happened() => return Err(error),
        Err(_) => vec![false; steps.len()],
    };
    let (mut answers, mut asked) = (Vec::with_capacity(steps.len()), JoinSet::new());
    for (place, (step, done)) in steps.into_iter().zip(done).enumerate() {
        answers.push(if done {
            Ok(answer(&step))
        } else {
            Err(unanswered())
        });
        if !done {
            let alone = alone(step);
            asked.spawn(async move { (place, alone.await) });
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
    Ok(answers)
}

fn unanswered() -> StoreError {
    StoreError::unavailable("the step ended without an answer").possibly_applied()
}
