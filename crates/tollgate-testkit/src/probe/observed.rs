//! Counts what is done to a service.

use pin_project_lite::pin_project;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::task::{Context, Poll, ready};
use tower_service::Service;

/// A service that passes everything on and counts what is done to it. Clones count together, but each has a readiness of its own, as
/// tower's contract says.
///
/// ```
/// use std::future::poll_fn;
/// use tollgate_core::gateway::{Call, LookupPayment};
/// use tollgate_core::id::MerchantReference;
/// use tollgate_testkit::gateway::MockGateway;
/// use tollgate_testkit::probe::Probe;
/// use tower_service::Service;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut service = Probe::new(MockGateway::new());
/// let call = || Call::new(LookupPayment::ByReference(MerchantReference::new("order-1").unwrap()));
/// poll_fn(|cx| Service::<Call<LookupPayment>>::poll_ready(&mut service, cx)).await?;
/// service.call(call()).await?;
/// service.clone().call(call()).await?; // nobody asked whether the clone is ready
///
/// let seen = service.observed();
/// assert_eq!((seen.calls(), seen.calls_while_unready()), (2, 1));
/// # Ok(()) }
/// ```
pub struct Probe<S> {
    inner: S,
    ready: bool,
    observed: Observed,
}

/// What a [`Probe`] has seen so far; stays up to date.
#[derive(Clone, Debug, Default)]
pub struct Observed(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    calls: AtomicU32,
    while_unready: AtomicU32,
    unused: AtomicU32,
    completed: AtomicU32,
    cancelled: AtomicU32,
    in_flight: AtomicU32,
    most_in_flight: AtomicU32,
}

impl Observed {
    /// How many calls were made.
    #[must_use]
    pub fn calls(&self) -> u32 {
        self.0.calls.load(SeqCst)
    }

    /// How many calls were made on an instance that had not said that it is ready: a defect of the caller.
    #[must_use]
    pub fn calls_while_unready(&self) -> u32 {
        self.0.while_unready.load(SeqCst)
    }

    /// How many instances were made ready and then dropped without a call: each may have held a permit that others waited for.
    #[must_use]
    pub fn ready_but_unused(&self) -> u32 {
        self.0.unused.load(SeqCst)
    }

    /// How many calls were answered.
    #[must_use]
    pub fn completed(&self) -> u32 {
        self.0.completed.load(SeqCst)
    }

    /// How many calls were dropped before they were answered.
    #[must_use]
    pub fn cancelled(&self) -> u32 {
        self.0.cancelled.load(SeqCst)
    }

    /// How many calls are running now.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.0.in_flight.load(SeqCst)
    }

    /// How many ran at one moment, at most.
    #[must_use]
    pub fn most_in_flight(&self) -> u32 {
        self.0.most_in_flight.load(SeqCst)
    }
}

impl<S> Probe<S> {
    /// Watches this service.
    pub fn new(inner: S) -> Self {
        Self {
            inner,
            ready: false,
            observed: Observed::default(),
        }
    }

    /// What was seen so far, by all clones.
    #[must_use]
    pub fn observed(&self) -> Observed {
        self.observed.clone()
    }
}

impl<S: Clone> Clone for Probe<S> {
    /// The clone is not ready, whatever the original is.
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            ready: false,
            observed: self.observed.clone(),
        }
    }
}

impl<S> Drop for Probe<S> {
    fn drop(&mut self) {
        if self.ready {
            self.observed.0.unused.fetch_add(1, SeqCst);
        }
    }
}

impl<S, Req> Service<Req> for Probe<S>
where
    S: Service<Req>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Probed<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        let ready = ready!(self.inner.poll_ready(cx));
        self.ready = ready.is_ok();
        Poll::Ready(ready)
    }

    fn call(&mut self, req: Req) -> Self::Future {
        let counts = &self.observed.0;
        counts.calls.fetch_add(1, SeqCst);
        if !std::mem::take(&mut self.ready) {
            counts.while_unready.fetch_add(1, SeqCst);
        }
        let now = counts.in_flight.fetch_add(1, SeqCst) + 1;
        counts.most_in_flight.fetch_max(now, SeqCst);
        Probed {
            running: Running(self.observed.clone(), false),
            inner: self.inner.call(req),
        }
    }
}

impl<S> fmt::Debug for Probe<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probe")
            .field("ready", &self.ready)
            .field("observed", &self.observed)
            .finish_non_exhaustive()
    }
}

pin_project! {
    /// The answer of a [`Probe`]ed service.
    pub struct Probed<F> {
        #[pin]
        inner: F,
        running: Running,
    }
}

/// One call in flight, and whether it was answered.
struct Running(Observed, bool);

impl Drop for Running {
    fn drop(&mut self) {
        let counts = &self.0.0;
        counts.in_flight.fetch_sub(1, SeqCst);
        let ended = if self.1 {
            &counts.completed
        } else {
            &counts.cancelled
        };
        ended.fetch_add(1, SeqCst);
    }
}

impl<F: Future> Future for Probed<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let output = ready!(this.inner.poll(cx));
        this.running.1 = true;
        Poll::Ready(output)
    }
}

impl<F> fmt::Debug for Probed<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probed").finish_non_exhaustive()
    }
}
