//! Starts the watch in `call`, stops it at the answer or at the drop.

use super::histogram::{Ending, PerOperation, Timings};
use super::recorder::{Measured, Recorder};
use pin_project_lite::pin_project;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::time::Instant;
use tollgate_core::protocol::{Answers, Requests};
use tower_service::Service;

/// The service that a [`TimingLayer`](super::TimingLayer) makes.
#[derive(Clone)]
pub struct Timing<S, P> {
    inner: S,
    timings: Timings,
    recorder: Option<Arc<dyn Recorder>>,
    protocol: P,
}

impl<S, P> Timing<S, P> {
    pub(super) const fn new(
        inner: S,
        timings: Timings,
        recorder: Option<Arc<dyn Recorder>>,
        protocol: P,
    ) -> Self {
        Self {
            inner,
            timings,
            recorder,
            protocol,
        }
    }
}

impl<S: fmt::Debug, P> fmt::Debug for Timing<S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timing")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

impl<S, P, Req> Service<Req> for Timing<S, P>
where
    S: Service<Req>,
    P: Answers<S::Response, S::Error> + Requests<Req> + Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = TimingFuture<S::Future, P>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, req: Req) -> Self::Future {
        let watch = Watch {
            operation: self.timings.of(self.protocol.operation(&req).name),
            recorder: self.recorder.clone(),
            attempt: self.protocol.context(&req).map_or(0, |context| context.attempt),
            started: Instant::now(),
            open: true,
        };
        TimingFuture {
            future: self.inner.call(req),
            protocol: self.protocol.clone(),
            watch,
        }
    }
}

struct Watch {
    operation: Arc<PerOperation>,
    recorder: Option<Arc<dyn Recorder>>,
    attempt: u16,
    started: Instant,
    open: bool,
}

impl Watch {
    fn stop(&mut self, ending: Ending) {
        self.open = false;
        let took = self.started.elapsed();
        self.operation.record(ending, took);
        tracing::debug!(
            target: "tollgate::timing", operation = self.operation.name(), ending = ending.as_str(),
            attempt = self.attempt, ?took, "measured"
        );
        if let Some(recorder) = &self.recorder {
            let measured = Measured {
                operation: self.operation.name(),
                ending,
                attempt: self.attempt,
                took,
            };
            if catch_unwind(AssertUnwindSafe(|| recorder.record(measured))).is_err() {
                tracing::error!(target: "tollgate::timing", "the recorder panicked");
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if self.open {
            self.stop(Ending::Abandoned);
        }
    }
}

pin_project! {
    /// The future of a measured call. Dropping it measures the call as abandoned.
    #[must_use = "futures do nothing unless polled"]
    pub struct TimingFuture<F, P> {
        #[pin]
        future: F,
        protocol: P,
        watch: Watch,
    }
}

impl<F, P, Res, Err> Future for TimingFuture<F, P>
where
    F: Future<Output = Result<Res, Err>>,
    P: Answers<Res, Err>,
{
    type Output = Result<Res, Err>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = ready!(this.future.poll(cx));
        this.watch.stop(Ending::of(&this.protocol.judge(&answer)));
        Poll::Ready(answer)
    }
}

impl<F: fmt::Debug, P> fmt::Debug for TimingFuture<F, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimingFuture")
            .field("future", &self.future)
            .finish_non_exhaustive()
    }
}
