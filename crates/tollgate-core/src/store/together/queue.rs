//! Who runs, and who waits.

use super::{Batch, Limits, StoreError};
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

pub(super) struct Queue<B: Batch> {
    pub(super) limits: Limits,
    state: Mutex<State<B>>,
}

struct State<B: Batch> {
    /// How many batches run. While somebody waits, it is as many as may, or more; or one at least, and too few wait to run beside it.
    running: usize,
    /// In the order in which they came.
    waiting: VecDeque<Waiting<B>>,
    /// How many ever waited.
    numbers: u64,
}

/// A step, and where its answer goes.
pub(super) struct Waiting<B: Batch> {
    number: u64,
    size: usize,
    home: Handle,
    pub(super) step: B::Step,
    pub(super) answer: oneshot::Sender<Result<B::Answer, StoreError>>,
}

/// What goes together, at least one step, and the runtime on which all of it waits.
pub(super) struct Taken<B: Batch> {
    pub(super) home: Handle,
    pub(super) waiting: Vec<Waiting<B>>,
}

/// What comes of joining.
pub(super) enum Joined<B: Batch> {
    /// It runs now.
    Alone(B::Step),
    Waits(Place<B>),
    /// With it there are enough to run beside others: these do, now.
    Enough(Place<B>, Taken<B>),
}

/// A place in the queue.
pub(super) struct Place<B: Batch> {
    pub(super) number: u64,
    pub(super) answer: oneshot::Receiver<Result<B::Answer, StoreError>>,
}

impl<B: Batch> Queue<B> {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: Mutex::new(State {
                running: 0,
                waiting: VecDeque::new(),
                numbers: 0,
            }),
        }
    }

    /// A step that comes: it runs now if it may, and waits if it may not.
    pub(super) fn join(&self, batch: &B, step: B::Step, size: usize, home: Handle) -> Joined<B> {
        let mut state = self.state();
        if state.may_run(&self.limits, 1) {
            state.running += 1;
            return Joined::Alone(step);
        }
        // as often as somebody comes: behind what is stuck nobody else might for long
        state.forget_who_went_away();
        let (caller, answer) = oneshot::channel();
        state.numbers += 1;
        let number = state.numbers;
        state.waiting.push_back(Waiting {
            number,
            size,
            home,
            step,
            answer: caller,
        });
        let place = Place { number, answer };
        match self.next_of(&mut state, batch) {
            Some(taken) => Joined::Enough(place, taken),
            None => Joined::Waits(place),
        }
    }

    /// One has run: what runs in its place, if anything does.
    pub(super) fn next(&self, batch: &B) -> Option<Taken<B>> {
        let mut state = self.state();
        state.running -= 1;
        self.next_of(&mut state, batch)
    }

    fn next_of(&self, state: &mut State<B>, batch: &B) -> Option<Taken<B>> {
        if !state.may_run(&self.limits, state.waiting.len()) {
            return None;
        }
        let taken = state.take(&self.limits, batch)?;
        state.running += 1;
        Some(taken)
    }

    /// What runs although as many run as may, because this one has waited for too long: it, or who came before it. Nothing, if it waits
    /// no more.
    pub(super) fn overdue(&self, number: u64, batch: &B) -> Option<Taken<B>> {
        let mut state = self.state();
        if !state.is_waiting(number) {
            return None;
        }
        let taken = state.take(&self.limits, batch)?;
        state.running += 1;
        Some(taken)
    }

    fn state(&self) -> MutexGuard<'_, State<B>> {
        // what a step's own drop may panic about leaves the queue whole
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B: Batch> State<B> {
    /// Whether so many steps may run, beside what runs.
    fn may_run(&self, limits: &Limits, steps: usize) -> bool {
        self.running == 0 || self.running < limits.at_once && steps >= limits.beside
    }

    fn is_waiting(&self, number: u64) -> bool {
        let found = self
            .waiting
            .binary_search_by_key(&number, |waiting| waiting.number);
        found.is_ok()
    }

    /// Of those who come next.
    fn forget_who_went_away(&mut self) {
        while self.waiting.front().is_some_and(|first| first.answer.is_closed()) {
            self.waiting.pop_front();
        }
    }

    /// The next batch: whoever has waited for longest, and who goes with it and waits on the same runtime, without those whose callers
    /// went away. Nothing if nobody is left.
    fn take(&mut self, limits: &Limits, batch: &B) -> Option<Taken<B>> {
        self.forget_who_went_away();
        let first = self.waiting.pop_front()?;
        let (home, mut bytes) = (first.home.clone(), first.size);
        let mut waiting = Vec::with_capacity((self.waiting.len() + 1).min(limits.steps.max(1)));
        waiting.push(first);
        let mut at = 0;
        while waiting.len() < limits.steps
            && let Some(next) = self.waiting.get(at)
        {
            if next.home.id() != home.id() || !batch.goes_with(&waiting[0].step, &next.step) {
                at += 1;
            } else if next.answer.is_closed() {
                self.waiting.remove(at);
            } else {
                bytes = bytes.saturating_add(next.size);
                if bytes > limits.bytes {
                    break;
                }
                waiting.extend(self.waiting.remove(at));
            }
        }
        Some(Taken { home, waiting })
    }
}

impl<B: Batch> fmt::Debug for Queue<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Together")
            .field("limits", &self.limits)
            .field("running", &state.running)
            .field("waiting", &state.waiting.len())
            .finish()
    }
}
