//! What a store answers that fails where it is told to.

use super::plan::{Fault, Kind, When};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::time::Sleep;
use tollgate_core::store::StoreError;

/// The answer of a [`Faulty`](super::Faulty) store.
pub struct Breaking<F: Future> {
    /// What the store does, until it is done; nothing if it is not asked.
    effect: Option<F>,
    answer: Option<F::Output>,
    fault: Fault,
    late: Option<Pin<Box<Sleep>>>,
}

impl<F: Future> Breaking<F> {
    pub(super) const fn new(effect: Option<F>, fault: Fault) -> Self {
        Self {
            effect,
            answer: None,
            fault,
            late: None,
        }
    }
}

/// Nothing in it is pinned but what lies in a box, or says that it need not be.
impl<F: Future> Unpin for Breaking<F> {}

impl<T, F: Future<Output = Result<T, StoreError>> + Unpin> Future for Breaking<F> {
    type Output = Result<T, StoreError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if let Some(effect) = &mut this.effect {
            this.answer = Some(ready!(Pin::new(effect).poll(cx)));
            this.effect = None;
        }
        let heard_after = this.fault.heard_after;
        if !heard_after.is_zero() {
            let late = || Box::pin(tokio::time::sleep(heard_after));
            ready!(this.late.get_or_insert_with(late).as_mut().poll(cx));
        }
        Poll::Ready(match (this.fault.kind, this.answer.take()) {
            (Kind::Silent, _) => return Poll::Pending,
            (Kind::Panics, _) => panic!("planned: the store panics"),
            (Kind::Answers, Some(answer)) => answer,
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
