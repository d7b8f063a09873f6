//! The stand: a queue before a batch that stands still until a test says how it ends.

mod any_order;
mod endings;
mod runtimes;
mod stuck;
mod turns;

use super::{Batch, Limits, Together};
use crate::store::{Boxed, StoreError};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, yield_now};

const LIMITS: Limits = Limits {
    at_once: 1,
    beside: 1,
    steps: 3,
    bytes: 100,
    patience: Duration::from_millis(50),
};

/// A batch that stands still until it is told how to end.
struct Gate {
    steps: Vec<u32>,
    end: oneshot::Sender<End>,
}

enum End {
    Answer,
    AnswerSome(usize),
    Fail(StoreError),
    Panic,
}

/// The batches that run, in the order in which they began.
#[derive(Clone, Default)]
struct Gates(Arc<Mutex<Vec<Gate>>>);

impl Batch for Gates {
    type Step = u32;
    type Answer = u32;

    fn run(&self, steps: Vec<u32>) -> Boxed<Vec<Result<u32, StoreError>>> {
        let gates = self.clone();
        Box::pin(async move {
            let (end, ended) = oneshot::channel();
            gates.0.lock().unwrap().push(Gate {
                steps: steps.clone(),
                end,
            });
            let answers = steps.into_iter().map(|step| Ok(step + 1000));
            match ended.await.expect("a gate is opened") {
                End::Answer => Ok(answers.collect()),
                End::AnswerSome(some) => Ok(answers.take(some).collect()),
                End::Fail(error) => Err(error),
                End::Panic => panic!("planted"),
            }
        })
    }

    fn size(&self, step: &u32) -> usize {
        usize::try_from(*step).unwrap()
    }

    /// From a thousand on, steps of the same thousand.
    fn goes_with(&self, first: &u32, step: &u32) -> bool {
        first / 1000 == step / 1000
    }
}

impl Gates {
    fn running(&self) -> Vec<Vec<u32>> {
        let gates = self.0.lock().unwrap();
        gates.iter().map(|gate| gate.steps.clone()).collect()
    }

    /// Ends what has run for longest.
    async fn end(&self, end: End) {
        let gate = self.0.lock().unwrap().remove(0);
        assert!(gate.end.send(end).is_ok());
        settle().await;
    }
}

/// Lets every task get as far as it can.
async fn settle() {
    for _ in 0..20 {
        yield_now().await;
    }
}

/// A queue before such a batch.
fn queue(limits: Limits) -> (Gates, Together<Gates>) {
    let gates = Gates::default();
    (gates.clone(), Together::new(gates, limits))
}

type Asked = JoinHandle<Result<u32, StoreError>>;

async fn ask(together: &Together<Gates>, steps: &[u32]) -> Vec<Asked> {
    let asked = steps
        .iter()
        .map(|step| tokio::spawn(together.ask(*step)))
        .collect();
    settle().await;
    asked
}

fn quiet(together: &Together<Gates>) -> bool {
    format!("{together:?}").contains("running: 0, waiting: 0")
}

async fn answers(asked: Vec<Asked>) -> Vec<Result<u32, bool>> {
    let mut answers = Vec::new();
    for asked in asked {
        let answer = asked.await.expect("a caller does not panic");
        answers.push(answer.map_err(|error| error.may_have_happened()));
    }
    answers
}

fn poll(asked: &mut Boxed<u32>) -> Poll<Result<u32, StoreError>> {
    asked.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}
