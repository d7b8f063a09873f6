//! What a store answers that fails where it is told to.

use super::plan::{Fault, Kind, When};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Sleep;
use tollgate_core::store::StoreError;

/// The answer of a [`Faulty`](super::Faulty) store.
pub struct Breaking<F: Future> {
    fault: Fault,
    /// Asks the store, when its time comes.
    queued: Option<Ask<F>>,
    /// What the store does, until it is done.
    effect: Option<F>,
    answer: Option<F::Output>,
    sleep: Option<Pin<Box<Sleep>>>,
}

type Ask<F> = Box<dyn FnOnce() -> F + Send>;

impl<F: Future> Breaking<F> {
    /// The store does it now, if it does it at all.
    pub(super) const fn at_once(fault: Fault, effect: Option<F>) -> Self {
        Self {
            fault,
            queued: None,
            effect,
            answer: None,
            sleep: None,
        }
    }

    /// The store is asked once it was waited for.
    pub(super) fn queued(fault: Fault, ask: impl FnOnce() -> F + Send + 'static) -> Self {
        Self {
            queued: Some(Box::new(ask)),
            ..Self::at_once(fault, None)
        }
    }

    fn wait(&mut self, time: Duration, cx: &mut Context<'_>) -> Poll<()> {
        if !time.is_zero() {
            let sleep = || Box::pin(tokio::time::sleep(time));
            ready!(self.sleep.get_or_insert_with(sleep).as_mut().poll(cx));
            self.sleep = None;
        }
        Poll::Ready(())
    }
}

/// Nothing in it is pinned but what lies in a box, or says that it need not be.
impl<F: Future> Unpin for Breaking<F> {}

impl<T, F: Future<Output = Result<T, StoreError>> + Unpin> Future for Breaking<F> {
    type Output = Result<T, StoreError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let (Kind::Queues(time), true) = (this.fault.kind, this.queued.is_some()) {
            ready!(this.wait(time, cx));
            this.effect = this.queued.take().map(|ask| ask());
        }
        if let Some(effect) = &mut this.effect {
            this.answer = Some(ready!(Pin::new(effect).poll(cx)));
            this.effect = None;
        }
        ready!(this.wait(this.fault.heard_after, cx));
        Poll::Ready(match (this.fault.kind, this.answer.take()) {
            (Kind::Silent, _) => return Poll::Pending,
            (Kind::Panics, _) => panic!("planned: the store panics"),
            (Kind::Answers | Kind::Queues(_), Some(answer)) => answer,
            (Kind::Fails(When::Before), _) => Err(StoreError::unavailable("planned: nothing was written")),
            _ => Err(StoreError::unavailable("planned: the answer was lost").possibly_applied()),
        })
    }
}

impl<F: Future> fmt::Debug for Breaking<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breaking")
            .field("fault", &self.fault)
            .finish_non_exhaustive()
    }
}
