//! A service that takes its time, and panics where it is told to.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll};
use tower::Service;

/// Waits so often before it is ready, before it asks the service behind, and before it answers.
const PAUSES: usize = 2;

/// Counts how often it and its futures are polled, over all clones; panics at one of them.
#[derive(Clone)]
pub(crate) struct Stepping<S> {
    inner: S,
    polls: Polls,
    pauses: usize,
}

/// The count, and the poll at which to panic.
#[derive(Clone, Debug)]
pub(crate) struct Polls {
    made: Arc<AtomicUsize>,
    panics_at: Arc<AtomicUsize>,
}

impl Default for Polls {
    fn default() -> Self {
        Self {
            made: Arc::default(),
            panics_at: Arc::new(AtomicUsize::new(usize::MAX)),
        }
    }
}

impl Polls {
    /// Panics at this poll, counted from 0.
    pub(crate) fn panic_at(&self, poll: usize) {
        self.panics_at.store(poll, SeqCst);
    }

    /// Whether it came that far. From now on nothing panics.
    pub(crate) fn calm_down(&self) -> bool {
        self.panics_at.swap(usize::MAX, SeqCst) < self.made.load(SeqCst)
    }

    /// One more, without a word on the terminal if it is the one: there are hundreds.
    pub(crate) fn count(&self) {
        let number = self.made.fetch_add(1, SeqCst);
        if number == self.panics_at.load(SeqCst) {
            std::panic::resume_unwind(Box::new("planned"));
        }
    }
}

impl<S> Stepping<S> {
    pub(crate) const fn new(inner: S, polls: Polls) -> Self {
        Self {
            inner,
            polls,
            pauses: 0,
        }
    }
}

impl<S, Req> Service<Req> for Stepping<S>
where
    S: Service<Req, Future: Send> + Clone + Send + 'static,
    Req: Send + 'static,
    S::Response: Send,
    S::Error: Send,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.polls.count();
        if self.pauses < PAUSES {
            self.pauses += 1;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, req: Req) -> Self::Future {
        assert_eq!(self.pauses, PAUSES, "called without being made ready");
        self.pauses = 0;
        self.polls.count();
        let (mut inner, polls) = (self.inner.clone(), self.polls.clone());
        Box::pin(async move {
            pause(&polls).await;
            let answer = inner.call(req).await;
            pause(&polls).await;
            answer
        })
    }
}

/// Some polls, counted.
async fn pause(polls: &Polls) {
    for _ in 0..PAUSES {
        polls.count();
        tokio::task::yield_now().await;
    }
    polls.count();
}
