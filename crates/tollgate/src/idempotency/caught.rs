//! A future whose panic is an answer: what was sent must be settled, whatever became of who sent it.

use pin_project_lite::pin_project;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

/// The future's output, or its panic. Covers the making of the future as well as every poll.
pub(super) fn caught<F: Future>(make: impl FnOnce() -> F) -> Caught<F> {
    match catch_unwind(AssertUnwindSafe(make)) {
        Ok(future) => Caught::Running { future },
        Err(panic) => Caught::Panicked { panic: Some(panic) },
    }
}

pin_project! {
    // by hand, for a future made of `async` would hold the maker beside what it makes
    #[project = CaughtProj]
    pub(super) enum Caught<F> {
        Running { #[pin] future: F },
        Panicked { panic: Option<Box<dyn Any + Send>> },
    }
}

impl<F: Future> Future for Caught<F> {
    type Output = std::thread::Result<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            CaughtProj::Running { future } => match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
                Ok(polled) => polled.map(Ok),
                Err(panic) => Poll::Ready(Err(panic)),
            },
            CaughtProj::Panicked { panic } => match panic.take() {
                Some(panic) => Poll::Ready(Err(panic)),
                None => unreachable!("polled after completion"),
            },
        }
    }
}
