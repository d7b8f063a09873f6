//! Looks in `call`; on a miss one task goes for all.

use super::key::KeyOf;
use super::share::Shares;
use super::table::{Found, Landing, Table};
use pin_project_lite::pin_project;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tollgate_core::Effect;
use tollgate_core::protocol::{Answers, Requests};
use tower_service::Service;

/// The service that a [`CacheLayer`](super::CacheLayer) makes. Clones share the entries.
pub struct Cache<S, P, Req, K> {
    inner: S,
    table: Arc<Mutex<Table<K>>>,
    key: KeyOf<Req>,
    largest_body: usize,
    protocol: P,
}

impl<S, P, Req, K> Cache<S, P, Req, K> {
    pub(super) const fn new(
        inner: S,
        table: Arc<Mutex<Table<K>>>,
        key: KeyOf<Req>,
        largest_body: usize,
        protocol: P,
    ) -> Self {
        Self {
            inner,
            table,
            key,
            largest_body,
            protocol,
        }
    }
}

impl<S, P, Req, K: Clone> Cache<S, P, Req, K> {
    /// Forgets all answers. Reads that are on their way finish and are kept.
    pub fn clear(&self) {
        lock(&self.table).clear();
    }
}

fn lock<K>(table: &Mutex<Table<K>>) -> MutexGuard<'_, Table<K>> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S: Clone, P: Clone, Req, K> Clone for Cache<S, P, Req, K> {
    fn clone(&self) -> Self {
        Self::new(
            self.inner.clone(),
            Arc::clone(&self.table),
            Arc::clone(&self.key),
            self.largest_body,
            self.protocol.clone(),
        )
    }
}

impl<S, P, Req> Service<Req> for Cache<S, P, Req, P::Kept>
where
    S: Service<Req, Future: Send + 'static> + Clone + Send + 'static,
    S::Response: Send + 'static,
    S::Error: Send + 'static,
    P: Answers<S::Response, S::Error>
        + Requests<Req>
        + Shares<S::Response, S::Error>
        + Clone
        + Send
        + Sync
        + 'static,
    P::Keep: Send,
    Req: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = CacheFuture<S::Response, S::Error, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, req: Req) -> Self::Future {
        let key = match (self.key)(&req) {
            // whatever the key function says: what moves money is never answered from memory
            Some(key) if !self.protocol.operation(&req).moves_money => key,
            _ => return CacheFuture::passing(self.inner.call(req)),
        };
        let found = lock(&self.table).find(&key, Instant::now());
        match found {
            Found::Fresh(kept) => CacheFuture::ready(self.protocol.give(&kept)),
            Found::OnItsWay(landing) => {
                tracing::trace!("waiting for another caller's read");
                let waiting = wait(landing, self.protocol.clone(), self.readied(), req);
                CacheFuture::waiting(Box::pin(waiting))
            }
            Found::Go(tell) => {
                let mut ready = self.readied();
                let (table, protocol, largest_body) =
                    (Arc::clone(&self.table), self.protocol.clone(), self.largest_body);
                let future = ready.call(req);
                let task = tokio::spawn(async move {
                    let answer = future.await;
                    let worth_keeping = protocol.judge(&answer).effect == Effect::Executed;
                    let (answer, kept) = protocol.keep(answer, largest_body).await;
                    let mut table = lock(&table);
                    let now = Instant::now();
                    let stale = if worth_keeping {
                        None
                    } else {
                        table.stale(&key, now)
                    };
                    table.land(&key, kept.clone().filter(|_| worth_keeping), now);
                    drop(table);
                    match stale {
                        Some(stale) => {
                            let _ = tell.send(Some(Some(stale.clone())));
                            protocol.give(&stale)
                        }
                        None => {
                            let _ = tell.send(Some(kept));
                            answer
                        }
                    }
                });
                CacheFuture::leading(task)
            }
        }
    }
}

impl<S: Clone, P, Req, K> Cache<S, P, Req, K> {
    /// The service that was made ready goes with the call, the clone stays behind.
    fn readied(&mut self) -> S {
        let clone = self.inner.clone();
        std::mem::replace(&mut self.inner, clone)
    }
}

/// Takes another caller's answer, or goes itself when there is none to share.
async fn wait<S, P, Req>(
    mut landing: Landing<P::Kept>,
    protocol: P,
    mut ready: S,
    req: Req,
) -> Result<S::Response, S::Error>
where
    S: Service<Req>,
    P: Shares<S::Response, S::Error>,
{
    let shared = match landing.wait_for(Option::is_some).await {
        Ok(landed) => landed.clone().flatten(),
        Err(_) => None, // the one who went is gone
    };
    match shared {
        Some(kept) => protocol.give(&kept),
        None => ready.call(req).await,
    }
}

type Waiting<Res, Err> = Pin<Box<dyn Future<Output = Result<Res, Err>> + Send>>;

pin_project! {
    /// The future of a call through a cache. Dropping it loses nothing: a read that goes for others goes on.
    #[must_use = "futures do nothing unless polled"]
    pub struct CacheFuture<Res, Err, F> {
        #[pin]
        state: State<Res, Err, F>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<Res, Err, F> {
        Passing { #[pin] future: F },
        Ready { answer: Option<Result<Res, Err>> },
        Leading { task: JoinHandle<Result<Res, Err>> },
        Waiting { waiting: Waiting<Res, Err> },
    }
}

impl<Res, Err, F> CacheFuture<Res, Err, F> {
    const fn passing(future: F) -> Self {
        let state = State::Passing { future };
        Self { state }
    }

    const fn ready(answer: Result<Res, Err>) -> Self {
        let state = State::Ready { answer: Some(answer) };
        Self { state }
    }

    const fn leading(task: JoinHandle<Result<Res, Err>>) -> Self {
        let state = State::Leading { task };
        Self { state }
    }

    fn waiting(waiting: Waiting<Res, Err>) -> Self {
        let state = State::Waiting { waiting };
        Self { state }
    }
}

impl<Res, Err, F> Future for CacheFuture<Res, Err, F>
where
    F: Future<Output = Result<Res, Err>>,
{
    type Output = Result<Res, Err>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Passing { future } => future.poll(cx),
            StateProj::Waiting { waiting } => waiting.as_mut().poll(cx),
            StateProj::Ready { answer } => match answer.take() {
                Some(answer) => Poll::Ready(answer),
                None => unreachable!("polled after completion"),
            },
            StateProj::Leading { task } => Pin::new(task).poll(cx).map(|joined| match joined {
                Ok(answer) => answer,
                Err(failed) if failed.is_panic() => std::panic::resume_unwind(failed.into_panic()),
                // only a runtime that shuts down cancels it; it drops us with it
                Err(_) => panic!("the runtime shut down during a cached read"),
            }),
        }
    }
}

impl<S: fmt::Debug, P, Req, K> fmt::Debug for Cache<S, P, Req, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

impl<Res, Err, F> fmt::Debug for CacheFuture<Res, Err, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheFuture").finish_non_exhaustive()
    }
}
