//! Steps that wait together go together.
//!
//! A server is asked in round trips, and each costs it more than the step inside: a statement to set up, a transaction to commit, a
//! script to enter, a page to flush. Where many callers have a step each, [`Together`] sends one batch for all of them.
//!
//! Nothing is delayed for that. A step that comes while few others run goes at once, alone, in its caller's own future. Only
//! what comes while as many as [may run](Limits::at_once) do is gathered, and goes as soon as one of those is done and its callers had
//! the chance to ask again: the busier the server, the larger the batches, as in a database's group commit.
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
//! let limits = Limits { at_once: 1, beside: 1, steps: 64, bytes: 1 << 20, patience: Duration::from_millis(50) };
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
//!
//! A batch runs on the runtime on which its callers wait: where several runtimes share a queue, the steps of each go together, and one
//! that ends, or is not run for a while, takes no other's steps along.

mod queue;
#[cfg(test)]
mod tests;

use super::{Boxed, StoreError};
use queue::{Joined, Place, Queue, Taken, Waiting};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::AcqRel};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::timeout;

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

    /// Whether a step may go with a batch that has this one first (default: any may). One that may not waits for the next batch; the
    /// one that has waited for longest is always the first of its batch.
    fn goes_with(&self, first: &Self::Step, step: &Self::Step) -> bool {
        let _ = (first, step);
        true
    }
}

/// How much goes together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// How many batches run at a time, at least one. A step that goes alone counts as one.
    pub at_once: usize,
    /// How many steps must wait for one to run beside others; with one, or none, it runs as soon as it may. With more, few callers share
    /// one batch after the other, as large as can be, and only many keep several under way.
    pub beside: usize,
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
            // before there is a turn that could get lost: it panics where no runtime is
            let home = Handle::current();
            let size = shared.batch.size(&step);
            match shared.queue.join(&shared.batch, step, size, home) {
                Joined::Alone(step) => alone(shared, step).await,
                Joined::Waits(place) => wait(&shared, place).await,
                Joined::Enough(place, taken) => {
                    pass_on(&shared, taken);
                    wait(&shared, place).await
                }
            }
        })
    }
}

async fn alone<B: Batch>(shared: Arc<Shared<B>>, step: B::Step) -> Result<B::Answer, StoreError> {
    let turn = Turn { shared, passed: None };
    let answers = turn.shared.batch.run(vec![step]).await;
    drop(turn);
    answers?.pop().unwrap_or_else(|| Err(unanswered()))
}

async fn wait<B: Batch>(shared: &Arc<Shared<B>>, place: Place<B>) -> Result<B::Answer, StoreError> {
    let Place { number, mut answer } = place;
    let told = match timeout(shared.queue.limits.patience, &mut answer).await {
        Ok(told) => told,
        Err(_) => {
            while let Some(overdue) = shared.queue.overdue(number, &shared.batch) {
                pass_on(shared, overdue);
            }
            answer.await
        }
    };
    told.unwrap_or_else(|_| Err(unanswered()))
}

/// One of those that may run at once. Passed on to what waits when it is dropped, however that comes about.
struct Turn<B: Batch> {
    shared: Arc<Shared<B>>,
    /// Set by who passes this turn on, when it has done so, and by the turn itself, when it is dropped: whoever comes second goes on.
    passed: Option<Arc<AtomicBool>>,
}

impl<B: Batch> Drop for Turn<B> {
    fn drop(&mut self) {
        let is_first = |passed: &Arc<AtomicBool>| !passed.swap(true, AcqRel);
        if self.passed.as_ref().is_some_and(is_first) {
            return;
        }
        if let Some(next) = self.shared.queue.next(&self.shared.batch) {
            pass_on(&self.shared, next);
        }
    }
}

/// Gives a turn to these, where they wait. A runtime that has ended drops them at once, and so whoever waits there is told; then the turn
/// is back, and the next have it: one after the other in here, for each within the other could be more than a stack holds.
fn pass_on<B: Batch>(shared: &Arc<Shared<B>>, mut next: Taken<B>) {
    loop {
        let passed = Arc::new(AtomicBool::new(false));
        let turn = Turn {
            shared: Arc::clone(shared),
            passed: Some(Arc::clone(&passed)),
        };
        let Taken { home, waiting } = next;
        home.spawn(run(turn, waiting));
        if !passed.swap(true, AcqRel) {
            return;
        }
        match shared.queue.next(&shared.batch) {
            Some(following) => next = following,
            None => return,
        }
    }
}

async fn run<B: Batch>(turn: Turn<B>, waiting: Vec<Waiting<B>>) {
    let (steps, callers): (Vec<_>, Vec<_>) = waiting
        .into_iter()
        .map(|waiting| (waiting.step, waiting.answer))
        .unzip();
    match turn.shared.batch.run(steps).await {
        Ok(answers) => {
            for (caller, answer) in callers.into_iter().zip(answers) {
                let _ = caller.send(answer); // who went away needs none
            }
        }
        Err(error) => {
            for caller in callers {
                let _ = caller.send(Err(error.clone()));
            }
        }
    }
    // Those who were told go first: whoever asks again at once is in the next batch. If the turn went first, callers would split into
    // two halves of which one waits while the other's runs, and each batch would be half as large.
    tokio::task::yield_now().await;
    drop(turn);
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
