//! Intent, call, outcome: top to bottom.

use super::entry::Entry;
use super::log::AuditLog;
use super::open::Open;
use crate::causes::Causes;
use pin_project_lite::pin_project;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tollgate_core::id::CallerId;
use tollgate_core::protocol::{Answers, Requests};
use tollgate_core::store::audit::AuditStore;
use tollgate_core::{KeyInForce, Rejection, RejectionKind};
use tower_service::Service;

/// The service that an [`AuditLayer`](super::AuditLayer) makes.
#[derive(Debug)]
pub struct Audit<S, P, St> {
    inner: S,
    log: AuditLog<St>,
    protocol: P,
    reads: bool,
}

impl<S, P, St> Audit<S, P, St> {
    pub(super) const fn new(inner: S, log: AuditLog<St>, protocol: P, reads: bool) -> Self {
        Self {
            inner,
            log,
            protocol,
            reads,
        }
    }
}

impl<S: Clone, P: Clone, St> Clone for Audit<S, P, St> {
    fn clone(&self) -> Self {
        Self::new(
            self.inner.clone(),
            self.log.clone(),
            self.protocol.clone(),
            self.reads,
        )
    }
}

impl<S, P, St, Req> Service<Req> for Audit<S, P, St>
where
    S: Service<Req, Future: Send, Response: Send, Error: Send> + Clone + Send + 'static,
    P: Requests<Req> + Answers<S::Response, S::Error> + Clone + Send + Sync + 'static,
    St: AuditStore,
    Req: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = AuditFuture<S::Future, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, req: Req) -> Self::Future {
        let operation = self.protocol.operation(&req);
        if !operation.moves_money && !self.reads {
            return AuditFuture::Unlogged {
                future: self.inner.call(req),
            };
        }
        let context = self.protocol.context(&req);
        let claim = context
            .and_then(|context| context.key.as_ref())
            .and_then(KeyInForce::claim);
        let intent = Entry {
            attempt: context.map_or(0, |context| context.attempt),
            caller: context
                .and_then(|context| context.caller.as_ref())
                .map(|caller| self.log.pseudonym(CallerId::as_str(caller))),
            record: claim.map(|claim| claim.key.to_hex()),
            epoch: claim.map(|claim| claim.epoch),
            ..Entry::intent(self.log.next_call(), operation.name)
        };
        let clone = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, clone);
        let logged = logged(ready, self.log.clone(), self.protocol.clone(), intent, req);
        AuditFuture::Logged {
            future: Box::pin(logged),
        }
    }
}

async fn logged<S, P, St, Req>(
    mut ready: S,
    log: AuditLog<St>,
    protocol: P,
    intent: Entry,
    req: Req,
) -> Result<S::Response, S::Error>
where
    S: Service<Req>,
    P: Answers<S::Response, S::Error>,
    St: AuditStore,
{
    let open = match Open::intent(log, intent).await {
        Ok(open) => open,
        Err(error) => {
            tracing::error!(target: "tollgate::audit", error = %Causes(&error), "the intent was not taken: nothing was sent");
            return protocol
                .refuse(Rejection::new(RejectionKind::AuditUnavailable).after(Duration::from_secs(1)));
        }
    };
    let answer = ready.call(req).await;
    let verdict = protocol.judge(&answer);
    // money may have moved: the answer is the true one, whatever the log says
    open.outcome(Duration::ZERO, |entry| {
        entry.effect = Some(verdict.effect);
        entry.advice = Some(verdict.advice);
        entry.blame = Some(verdict.blame);
    })
    .await;
    answer
}

pin_project! {
    /// The future of a logged call.
    #[project = AuditFutureProj]
    #[must_use = "futures do nothing unless polled"]
    pub enum AuditFuture<F, T> {
        #[doc(hidden)]
        Unlogged { #[pin] future: F },
        #[doc(hidden)]
        Logged { future: Pin<Box<dyn Future<Output = T> + Send>> },
    }
}

impl<F, T> Future for AuditFuture<F, T>
where
    F: Future<Output = T>,
{
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        match self.project() {
            AuditFutureProj::Unlogged { future } => future.poll(cx),
            AuditFutureProj::Logged { future } => future.as_mut().poll(cx),
        }
    }
}

impl<F, T> fmt::Debug for AuditFuture<F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unlogged { .. } => "AuditFuture::Unlogged",
            Self::Logged { .. } => "AuditFuture::Logged",
        })
    }
}
