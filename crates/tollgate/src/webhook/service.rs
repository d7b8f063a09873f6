//! Verify, claim, handle, settle: top to bottom.

use super::config::Shared;
use super::scheme::{Scheme, Signed, window};
use crate::causes::Causes;
use crate::http::problem::problem;
use crate::http::{ReadBody, ReadOutcome, Rebuild};
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, HeaderName};
use http::{HeaderMap, HeaderValue, Request, Response};
use sha2::{Digest, Sha256};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tollgate_core::store::StoreError;
use tollgate_core::store::dedup::{Claim, Claimed, DedupStore, EventDigest, EventKey, Ticket};
use tollgate_core::{Rejection, RejectionKind, Timestamp};
use tower_service::Service;

/// Marks the answer to a duplicate.
pub const WEBHOOK_DUPLICATE: HeaderName = HeaderName::from_static("webhook-duplicate");

/// What the handler may rely on: the event was signed by one of the secrets, is fresh, and is not being processed elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VerifiedEvent {
    /// By which scheme.
    pub scheme: &'static str,
    /// Its signed id, when the scheme signs one in its headers.
    pub id: Option<String>,
    /// When it was signed.
    pub signed_at: Timestamp,
}

/// The service that a [`WebhookLayer`](super::WebhookLayer) makes.
pub struct Webhook<S, C, St> {
    inner: S,
    shared: Arc<Shared<C, St>>,
}

impl<S, C, St> Webhook<S, C, St> {
    pub(super) const fn new(inner: S, shared: Arc<Shared<C, St>>) -> Self {
        Self { inner, shared }
    }
}

impl<S: Clone, C, St> Clone for Webhook<S, C, St> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<S: fmt::Debug, C, St> fmt::Debug for Webhook<S, C, St> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

impl<S, C, St, B, R> Service<Request<B>> for Webhook<S, C, St>
where
    S: Service<Request<B>, Response = Response<R>, Future: Send, Error: Send + 'static>
        + Clone
        + Send
        + 'static,
    C: Scheme,
    St: DedupStore,
    B: Rebuild + Send + 'static,
    R: Rebuild + Send + 'static,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = WebhookFuture<R, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, req: Request<B>) -> Self::Future {
        let clone = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, clone);
        WebhookFuture(Box::pin(deliver(ready, Arc::clone(&self.shared), req)))
    }
}

/// The future of one delivery. What a drop means is said in the [module](super).
#[must_use = "futures do nothing unless polled"]
pub struct WebhookFuture<R, E>(Pin<Box<dyn Future<Output = Result<Response<R>, E>> + Send>>);

impl<R, E> Future for WebhookFuture<R, E> {
    type Output = Result<Response<R>, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl<R, E> fmt::Debug for WebhookFuture<R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookFuture(..)")
    }
}

async fn deliver<S, C, St, B, R>(
    ready: S,
    shared: Arc<Shared<C, St>>,
    req: Request<B>,
) -> Result<Response<R>, S::Error>
where
    S: Service<Request<B>, Response = Response<R>, Future: Send, Error: Send + 'static> + Send + 'static,
    C: Scheme,
    St: DedupStore,
    B: Rebuild + Send + 'static,
    R: Rebuild + Send + 'static,
{
    let (mut parts, body) = req.into_parts();
    let verified = match verify(&shared, &parts.headers, body).await {
        Ok(verified) => verified,
        Err(no) => return Ok(refused(&shared, &no)),
    };
    let ticket = match claim(&shared, &verified).await {
        Ok(Claimed::Acquired(ticket)) => ticket,
        Ok(Claimed::Done) => return Ok(duplicate()),
        Ok(Claimed::InProgress { retry_after }) => {
            return Ok(problem(
                &Rejection::new(RejectionKind::EventInProgress).after(retry_after),
            ));
        }
        Ok(Claimed::Conflict) => {
            tracing::error!(target: "tollgate::webhook", scheme = shared.scheme.name(), "one event id with two bodies");
            let no = Rejection::new(RejectionKind::SignatureMismatch)
                .because("this event id was seen with another body");
            return Ok(problem(&no));
        }
        Err(no) => return Ok(refused(&shared, &no)),
    };
    let Verified { signed, body, .. } = verified;
    let event = VerifiedEvent {
        scheme: shared.scheme.name(),
        id: signed.id,
        signed_at: signed.at,
    };
    parts.extensions.insert(event);
    let req = Request::from_parts(parts, B::from(body));
    // a provider that hangs up must not cut the handler in half
    match tokio::spawn(handle(ready, shared, ticket, req)).await {
        Ok(answer) => answer,
        Err(panic) if panic.is_panic() => std::panic::resume_unwind(panic.into_panic()),
        Err(_) => Ok(problem(&RejectionKind::Overloaded.into())), // the runtime is shutting down
    }
}

async fn handle<S, C, St, B, R>(
    mut ready: S,
    shared: Arc<Shared<C, St>>,
    ticket: Ticket,
    req: Request<B>,
) -> Result<Response<R>, S::Error>
where
    S: Service<Request<B>, Response = Response<R>>,
    C: Scheme,
    St: DedupStore,
    R: Rebuild,
{
    let answer = ready.call(req).await;
    let processed = matches!(&answer, Ok(response) if response.status().is_success());
    let settled = if processed {
        commit(&shared, ticket).await
    } else {
        shared.store.release(ticket).await
    };
    match settled {
        Ok(true) => answer,
        // no 2xx unless the event is done: the provider must come back
        Ok(false) | Err(_) if processed => {
            tracing::error!(target: "tollgate::webhook", event = ?ticket.key, "processed, but not recorded as done");
            Ok(problem(
                &Rejection::new(RejectionKind::StoreUnavailable).after(Duration::from_secs(5)),
            ))
        }
        _ => answer,
    }
}

/// The event was processed: a store that fails for a moment must not have it processed again.
async fn commit<C, St: DedupStore>(shared: &Shared<C, St>, ticket: Ticket) -> Result<bool, StoreError> {
    let mut wait = Duration::from_millis(50);
    for _ in 0..5 {
        match shared.store.commit(ticket, shared.config.retention).await {
            Err(error) => {
                tracing::warn!(target: "tollgate::webhook", error = %Causes(&error), "not recorded as done; trying again")
            }
            committed => return committed,
        }
        tokio::time::sleep(wait).await;
        wait *= 2;
    }
    shared.store.commit(ticket, shared.config.retention).await
}

struct Verified {
    signed: Signed,
    body: Bytes,
    key: EventKey,
    digest: EventDigest,
}

async fn verify<C: Scheme, St, B: Rebuild>(
    shared: &Shared<C, St>,
    headers: &HeaderMap,
    body: B,
) -> Result<Verified, Rejection> {
    if headers
        .get(CONTENT_ENCODING)
        .is_some_and(|coding| coding != "identity")
    {
        return Err(Rejection::new(RejectionKind::BodyUnreadable).because("encoded bodies are not taken"));
    }
    let body = match ReadBody::new(body, shared.config.max_body).await {
        ReadOutcome::Whole(body) => body,
        ReadOutcome::TooLarge => return Err(RejectionKind::BodyTooLarge.into()),
        ReadOutcome::Broken => return Err(RejectionKind::BodyUnreadable.into()),
    };
    let signed = shared.scheme.authenticate(headers, &body)?;
    window(signed.at, shared.clock.now(), shared.config.tolerance)?;
    let digest = EventDigest(Sha256::digest(&body).into());
    let key = event_key(shared, signed.id.as_deref(), &digest);
    Ok(Verified {
        signed,
        body,
        key,
        digest,
    })
}

/// From signed material only: the signed id, or, where the scheme signs none, the bytes themselves.
fn event_key<C: Scheme, St>(shared: &Shared<C, St>, id: Option<&str>, digest: &EventDigest) -> EventKey {
    let mut hash = Sha256::new();
    for part in [&*shared.endpoint, shared.scheme.name()] {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part.as_bytes());
    }
    match id {
        Some(id) => {
            hash.update([1]);
            hash.update(id.as_bytes());
        }
        None => {
            hash.update([0]);
            hash.update(digest.0);
        }
    }
    EventKey(hash.finalize().into())
}

async fn claim<C, St: DedupStore>(shared: &Shared<C, St>, verified: &Verified) -> Result<Claimed, Rejection> {
    let claim = Claim {
        key: verified.key,
        digest: verified.digest,
        lease: shared.config.lease,
    };
    shared.store.claim(claim).await.map_err(|error| {
        tracing::error!(
            target: "tollgate::webhook", error = %Causes(&error),
            "the store does not answer: the event was not processed"
        );
        Rejection::new(RejectionKind::StoreUnavailable).after(Duration::from_secs(5))
    })
}

fn refused<C: Scheme, St, R: Rebuild>(shared: &Shared<C, St>, no: &Rejection) -> Response<R> {
    tracing::warn!(target: "tollgate::webhook", scheme = shared.scheme.name(), code = no.kind().code(), "refused");
    problem(no)
}

fn duplicate<R: Rebuild>() -> Response<R> {
    let mut response = Response::new(R::from(Bytes::new()));
    response
        .headers_mut()
        .insert(WEBHOOK_DUPLICATE, HeaderValue::from_static("true"));
    response
}
