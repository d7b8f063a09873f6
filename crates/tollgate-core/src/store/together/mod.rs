//! Steps that wait together go together.
//!
//! A server is asked in round trips, and each costs it more than the step inside: a statement to set up, a transaction to commit, a
//! script to enter, a page to flush. Where many callers have a step each, [`Together`] sends one batch for all of them.
//!
//! Nothing is delayed for that. A step that comes while few others run goes at once, alone, in its caller's own future. Only
//! what comes while as many as [may run](Limits::at_once) do is gathered, and goes as soon as one of those is done: the busier the
//! server, the larger the batches, as in a database's group commit.
//!
//! ```
//! use std::time::Duration;
//! use tollgate_core::store::together::{Batch, Limits, Together};
//! use tollgate_core::store::{Boxed, StoreError};
//!
//! struct Doubles; // where a store would send one statement for all
//!
//! impl Batch for Doubles {
//!     type Step = u32;
//!     type Answer = u32;
//!
//!     fn run(&self, steps: Vec<u32>) -> Boxed<Vec<Result<u32, StoreError>>> {
//!         Box::pin(async move { Ok(steps.into_iter().map(|step| Ok(2 * step)).collect()) })
//!     }
//!
//!     fn size(&self, _: &u32) -> usize {
//!         4
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! let limits = Limits { at_once: 1, steps: 64, bytes: 1 << 20, patience: Duration::from_millis(50) };
//! let together = Together::new(Doubles, limits);
//! assert_eq!(together.ask(21).await.unwrap(), 42);
//! # });
//! ```
//!
//! # What a drop means
//!
//! A caller that goes away before its step was sent takes it back. Afterwards the step is the batch's, and may or may not be written;
//! the others' are not touched by it.
//!
//! # What goes wrong
//!
//! A batch that panics, or whose runtime ends, answers each of its steps with an error that says that the write
//! [may have happened](StoreError::may_have_happened). Whoever would wait for a turn longer than [`Limits::patience`], because what runs
//! is stuck, gets one more batch.

mod queue;
#[cfg(test)]
mod tests;

use super::{Boxed, StoreError};
use queue::{Queue, Waiting};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// How a store runs several steps in one go.
pub trait Batch: Send + Sync + 'static {
    /// What is asked.
    type Step: Send + 'static;
    /// What is answered.
    type Answer: Send + 'static;

    /// Runs these steps, of which there is at least one, and answers each at its place.
    ///
    /// # Errors
    /// One that is everybody's: nobody was answered.
    fn run(&self, steps: Vec<Self::Step>) -> Boxed<Vec<Result<Self::Answer, StoreError>>>;

    /// About how many bytes a step sends.
    fn size(&self, step: &Self::Step) -> usize;
}

/// How much goes together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// How many batches run at a time, at least one. A step that goes alone counts as one.
    pub at_once: usize,
    /// How many steps a batch has at most; one, if this is less.
    pub steps: usize,
    /// How many bytes the steps of a batch have at most, unless it is one step only.
    pub bytes: usize,
    /// How long a step waits for its turn before it gets a batch whatever else runs.
    pub patience: Duration,
}

/// Asks a [`Batch`]. Clones share the queue.
pub struct Together<B: Batch>(Arc<Shared<B>>);

struct Shared<B: Batch> {
    batch: B,
    queue: Queue<B>,
}

impl<B: Batch> Together<B> {
    /// Asks this batch, within these limits.
    pub fn new(batch: B, limits: Limits) -> Self {
        Self(Arc::new(Shared {
            batch,
            queue: Queue::new(limits),
        }))
    }

    /// The batch that is asked.
    #[must_use]
    pub fn batch(&self) -> &B {
        &self.0.batch
    }

    /// Asks one step, alone or together with others. To be awaited on a tokio runtime with a timer.
    ///
    /// # Errors
    /// The step's own, its batch's, or that its batch went away without an answer, and may have been written.
    pub fn ask(&self, step: B::Step) -> Boxed<B::Answer> {
        let shared = Arc::clone(&self.0);
        Box::pin(async move {
            let size = shared.batch.size(&step);
            match shared.queue.join(step, size) {
                Ok(step) => alone(shared, step).await,
                Err(place) => wait(&shared, place.number, place.answer).await,
            }
        })
    }
}

async fn alone<B: Batch>(shared: Arc<Shared<B>>, step: B::Step) -> Result<B::Answer, StoreError> {
    let turn = Turn(shared, Handle::current());
    let answers = turn.0.batch.run(vec![step]).await;
    drop(turn);
    answers?.pop().unwrap_or_else(|| Err(unanswered()))
}

async fn wait<B: Batch>(
    shared: &Arc<Shared<B>>,
    number: u64,
    mut answer: oneshot::Receiver<Result<B::Answer, StoreError>>,
) -> Result<B::Answer, StoreError> {
    let patience = shared.queue.limits.patience;
    while shared.queue.is_waiting(number) {
        match tokio::time::timeout(patience, &mut answer).await {
            Ok(answer) => return answer.unwrap_or_else(|_| Err(unanswered())),
            Err(_) => {
                if let Some(overdue) = shared.queue.overdue(number) {
                    let turn = Turn(Arc::clone(shared), Handle::current());
                    tokio::spawn(run(turn, overdue));
                }
            }
        }
    }
    answer.await.unwrap_or_else(|_| Err(unanswered()))
}

/// One of those that may run at once. Passed on to what waits when it is dropped, however that comes about.
struct Turn<B: Batch>(Arc<Shared<B>>, Handle);

impl<B: Batch> Drop for Turn<B> {
    fn drop(&mut self) {
        if let Some(next) = self.0.queue.next() {
            let turn = Self(Arc::clone(&self.0), self.1.clone());
            // a runtime that is ending drops the task, and with it turn and steps: whoever waits is told
            self.1.spawn(run(turn, next));
        }
    }
}

async fn run<B: Batch>(turn: Turn<B>, waiting: Vec<Waiting<B>>) {
    let (steps, callers): (Vec<_>, Vec<_>) = waiting
        .into_iter()
        .map(|waiting| (waiting.step, waiting.answer))
        .unzip();
    match turn.0.batch.run(steps).await {
        // the turn goes first, so that the server has its next batch while the callers go on
        Ok(answers) => {
            drop(turn);
            for (caller, answer) in callers.into_iter().zip(answers) {
                let _ = caller.send(answer); // who went away needs none
            }
        }
        Err(error) => {
            drop(turn);
            for caller in callers {
                let _ = caller.send(Err(error.clone()));
            }
        }
    }
}

fn unanswered() -> StoreError {
    StoreError::unavailable("the batch that the step was in ended without an answer").possibly_applied()
}

impl<B: Batch> Clone for Together<B> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<B: Batch> fmt::Debug for Together<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.queue.fmt(f)
    }
}
