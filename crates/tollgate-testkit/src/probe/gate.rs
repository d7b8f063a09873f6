//! A service that is not always ready.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use tower_service::Service;

/// A service that is ready only while its gate is open. Clones share the gate.
///
/// ```
/// use tollgate_testkit::gateway::MockGateway;
/// use tollgate_testkit::probe::Gate;
///
/// let (service, gate) = Gate::closed(MockGateway::new());
/// // a layer under test would wait for `service` here, until
/// gate.open();
/// # let _ = service;
/// ```
#[derive(Clone)]
pub struct Gate<S> {
    inner: S,
    gate: GateHandle,
}

/// Opens and closes a [`Gate`].
#[derive(Clone, Default)]
pub struct GateHandle(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    open: bool,
    waiting: Vec<Waker>,
}

impl GateHandle {
    /// Lets everybody who waits, and everybody who comes, through.
    pub fn open(&self) {
        let waiting = self.with(|state| {
            state.open = true;
            std::mem::take(&mut state.waiting)
        });
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Makes everybody wait who asks from now on.
    pub fn close(&self) {
        self.with(|state| state.open = false);
    }

    fn with<T>(&self, with: impl FnOnce(&mut State) -> T) -> T {
        with(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<S> Gate<S> {
    /// A service behind a closed gate.
    pub fn closed(inner: S) -> (Self, GateHandle) {
        let gate = GateHandle::default();
        (
            Self {
                inner,
                gate: gate.clone(),
            },
            gate,
        )
    }
}

impl<S, Req> Service<Req> for Gate<S>
where
    S: Service<Req>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        let open = self.gate.with(|state| {
            if !state.open {
                state.waiting.push(cx.waker().clone());
            }
            state.open
        });
        if open {
            self.inner.poll_ready(cx)
        } else {
            Poll::Pending
        }
    }

    fn call(&mut self, req: Req) -> S::Future {
        self.inner.call(req)
    }
}

impl<S> fmt::Debug for Gate<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("gate", &self.gate)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for GateHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.with(|state| if state.open { "open" } else { "closed" }))
    }
}
