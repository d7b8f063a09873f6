//! HTTP requests: the key is the header's, the fingerprint covers everything that says what is asked.

use super::key::key_of;
use crate::http::{Http, ReadBody, ReadOutcome, Rebuild};
use bytes::Bytes;
use http::header::{
    CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderName,
    LAST_MODIFIED, LINK, LOCATION,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, response};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tollgate_core::codec::{Decoder, Encoder};
use tollgate_core::context::CallContext;
use tollgate_core::protocol::{Answers, Captured, Identified, Identity, Operation, Replays, Requests};
use tollgate_core::store::idempotency::Envelope;
use tollgate_core::{Rejection, RejectionKind, Secrets, Verdict};

/// Marks a response as a replay.
pub const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

type ScopeOf = dyn Fn(&Parts) -> Option<String> + Send + Sync;

/// How HTTP requests are guarded: which ones, in which scope, up to which sizes.
///
/// ```
/// use tollgate::idempotency::GuardedHttp;
///
/// #[derive(Clone)]
/// struct Tenant(String); // put into the extensions by the authentication layer, further out
///
/// let guarded = GuardedHttp::new()
///     .scope(|parts| parts.extensions.get::<Tenant>().map(|tenant| tenant.0.clone()))
///     .max_body(64 * 1024);
/// # let _ = guarded;
/// ```
#[derive(Clone)]
pub struct GuardedHttp {
    scope: Option<Arc<ScopeOf>>,
    key_required: bool,
    max_body: usize,
    max_answer: usize,
    kept_headers: Arc<[HeaderName]>,
}

impl Default for GuardedHttp {
    fn default() -> Self {
        Self::new()
    }
}

impl GuardedHttp {
    /// POST and PATCH, key required, one scope for all callers, bodies up to 1 MiB both ways.
    #[must_use]
    pub fn new() -> Self {
        Self {
            scope: None,
            key_required: true,
            max_body: 1 << 20,
            max_answer: 1 << 20,
            kept_headers: [
                CONTENT_TYPE,
                CONTENT_LANGUAGE,
                CONTENT_DISPOSITION,
                CONTENT_ENCODING,
                LOCATION,
                ETAG,
                LAST_MODIFIED,
                LINK,
            ]
            .into(),
        }
    }

    /// Sets whose keys these are: tenant and environment, from what the authentication layer left in the extensions
    /// (default: one scope for all, which is right only for a single tenant). Never the bearer token: it changes, and the
    /// retry after a refresh would land in another scope and run again. `None` refuses the request.
    #[must_use]
    pub fn scope(mut self, scope: impl Fn(&Parts) -> Option<String> + Send + Sync + 'static) -> Self {
        self.scope = Some(Arc::new(scope));
        self
    }

    /// Lets requests without a key pass unguarded (default: they are refused with `key-missing`). For moving a live API over.
    #[must_use]
    pub fn dangerous_key_optional(mut self) -> Self {
        self.key_required = false;
        self
    }

    /// Sets the largest request body in bytes (default: 1 MiB). Larger ones are refused before anything is claimed.
    #[must_use]
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// Sets the largest answer that is stored, in bytes (default: 1 MiB). Larger ones, and those that stream, are passed
    /// through; a repeat then gets `not-replayable`.
    #[must_use]
    pub fn max_answer(mut self, bytes: usize) -> Self {
        self.max_answer = bytes;
        self
    }

    /// Keeps another response header for replays (default: content-type, -language, -disposition, -encoding, location, etag,
    /// last-modified, link). Cookies and hop-by-hop headers have no business there.
    #[must_use]
    pub fn keep_header(mut self, name: HeaderName) -> Self {
        self.kept_headers = self.kept_headers.iter().cloned().chain([name]).collect();
        self
    }

    fn identity(
        &self,
        parts: &Parts,
        key: &str,
        body: &[u8],
        secrets: &Secrets,
    ) -> Result<Identity, Rejection> {
        // the control character keeps a caller's keys apart from those of typed calls in the same store: handed on to a gateway call, a
        // key would meet its own record, and a stranger could use up the key of somebody's refund
        let mut scope = String::from("http\0");
        if let Some(scope_of) = &self.scope {
            scope.push_str(&scope_of(parts).ok_or(RejectionKind::ScopeMissing)?);
        }
        let header = |name| parts.headers.get(name).map_or(&b""[..], HeaderValue::as_bytes);
        let mut fields = Encoder::new();
        fields
            .byte(1)
            .text(parts.method.as_str())
            .text(parts.uri.path())
            .text(parts.uri.query().unwrap_or(""))
            .bytes(header(CONTENT_TYPE))
            .bytes(header(CONTENT_ENCODING));
        Ok(Identity {
            key: secrets.record_key(&scope, key),
            fingerprint: secrets.fingerprint(&[fields.as_bytes(), body]),
        })
    }
}

impl fmt::Debug for GuardedHttp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedHttp")
            .field("scoped", &self.scope.is_some())
            .field("key_required", &self.key_required)
            .field("max_body", &self.max_body)
            .field("max_answer", &self.max_answer)
            .field("kept_headers", &self.kept_headers)
            .finish()
    }
}

impl<B> Requests<Request<B>> for GuardedHttp {
    fn operation<'r>(&self, req: &'r Request<B>) -> Operation<'r> {
        Http.operation(req)
    }
    fn context<'r>(&self, req: &'r Request<B>) -> Option<&'r CallContext> {
        Http.context(req)
    }
    fn context_mut<'r>(&self, req: &'r mut Request<B>) -> &'r mut CallContext {
        Http.context_mut(req)
    }
}

impl<B: Rebuild, E> Answers<Response<B>, E> for GuardedHttp {
    fn judge(&self, answer: &Result<Response<B>, E>) -> Verdict {
        Http.judge(answer)
    }
    fn refuse(&self, rejection: Rejection) -> Result<Response<B>, E> {
        Http.refuse(rejection)
    }
}

impl<B: Rebuild, R: Rebuild, E> Replays<Request<B>, Response<R>, E> for GuardedHttp {
    type Identify = IdentifyRequest<B>;
    type Capture = CaptureResponse<R, E>;

    fn identify(&self, req: Request<B>, secrets: &Secrets) -> IdentifyRequest<B> {
        if !matches!(*req.method(), Method::POST | Method::PATCH) {
            return IdentifyRequest(Identifying::Done(Some(Ok(Identified::Bypass(req)))));
        }
        let key = match key_of(req.headers()) {
            Ok(Some(key)) => key,
            Ok(None) if self.key_required => return IdentifyRequest::refused(RejectionKind::KeyMissing),
            Ok(None) => return IdentifyRequest(Identifying::Done(Some(Ok(Identified::Bypass(req))))),
            Err(no) => return IdentifyRequest::refused(no),
        };
        let (parts, body) = req.into_parts();
        let read = ReadBody::new(body, self.max_body);
        IdentifyRequest(Identifying::Reading(Some(Box::new(Reading {
            parts,
            read,
            key: key.as_str().into(),
            guarded: self.clone(),
            secrets: secrets.clone(),
        }))))
    }

    fn capture(&self, answer: Result<Response<R>, E>) -> CaptureResponse<R, E> {
        let response = match answer {
            Err(error) => return CaptureResponse(Capturing::Done(Some((Err(error), None)))),
            Ok(response) => response,
        };
        // a body of unknown length streams: holding it back until its end would break it
        let storable = |size: u64| usize::try_from(size).is_ok_and(|size| size <= self.max_answer);
        if !response.body().size_hint().exact().is_some_and(storable) {
            return CaptureResponse(Capturing::Done(Some((Ok(response), None))));
        }
        let (parts, body) = response.into_parts();
        let head = encode_head(&parts.headers, &self.kept_headers);
        let read = ReadBody::new(body, self.max_answer);
        CaptureResponse(Capturing::Reading(Some(ReadingAnswer { parts, head, read })))
    }

    fn replay(&self, envelope: &Envelope) -> Option<Result<Response<R>, E>> {
        let mut response = Response::new(R::from(Bytes::copy_from_slice(&envelope.body)));
        *response.status_mut() = StatusCode::from_u16(envelope.status).ok()?;
        *response.headers_mut() = decode_head(envelope.head.as_deref().unwrap_or_default())?;
        response
            .headers_mut()
            .insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
        Some(Ok(response))
    }
}

/// Repeated names and raw bytes are kept as they were.
fn encode_head(headers: &HeaderMap, kept: &[HeaderName]) -> Option<Arc<[u8]>> {
    let mut out = Encoder::new();
    for name in kept {
        for value in headers.get_all(name) {
            out.text(name.as_str()).bytes(value.as_bytes());
        }
    }
    let bytes = out.as_bytes();
    (!bytes.is_empty()).then(|| bytes.into())
}

fn decode_head(bytes: &[u8]) -> Option<HeaderMap> {
    let mut bytes = Decoder::new(bytes);
    let mut headers = HeaderMap::new();
    while !bytes.is_empty() {
        let name = HeaderName::from_bytes(bytes.bytes()?).ok()?;
        headers.append(name, HeaderValue::from_bytes(bytes.bytes()?).ok()?);
    }
    Some(headers)
}

/// Reads a request's key and body. Dropping it costs nothing: nothing is claimed yet.
pub struct IdentifyRequest<B>(Identifying<B>);

#[expect(
    clippy::large_enum_variant,
    reason = "boxing the unguarded request would charge every read for it"
)]
enum Identifying<B> {
    Done(Option<Result<Identified<Request<B>>, Rejection>>),
    Reading(Option<Box<Reading<B>>>),
}

struct Reading<B> {
    parts: Parts,
    read: ReadBody<B>,
    key: Box<str>,
    guarded: GuardedHttp,
    secrets: Secrets,
}

impl<B> IdentifyRequest<B> {
    fn refused(no: impl Into<Rejection>) -> Self {
        Self(Identifying::Done(Some(Err(no.into()))))
    }
}

impl<B> Unpin for IdentifyRequest<B> {}

impl<B: Rebuild> Future for IdentifyRequest<B> {
    type Output = Result<Identified<Request<B>>, Rejection>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let reading = match &mut self.0 {
            Identifying::Done(done) => match done.take() {
                Some(done) => return Poll::Ready(done),
                None => unreachable!("polled after completion"),
            },
            Identifying::Reading(reading) => reading,
        };
        let Some(open) = reading.as_mut() else {
            unreachable!("polled after completion")
        };
        let outcome = ready!(open.read.poll_read(cx));
        let Some(open) = reading.take() else {
            unreachable!("just seen")
        };
        Poll::Ready(match outcome {
            ReadOutcome::TooLarge => Err(Rejection::new(RejectionKind::BodyTooLarge)
                .because(format!("at most {} bytes are taken", open.guarded.max_body))),
            ReadOutcome::Broken => Err(RejectionKind::BodyUnreadable.into()),
            ReadOutcome::Whole(body) => open
                .guarded
                .identity(&open.parts, &open.key, &body, &open.secrets)
                .map(|identity| Identified::Guard {
                    req: Request::from_parts(open.parts, B::from(body)),
                    identity,
                }),
        })
    }
}

impl<B> fmt::Debug for IdentifyRequest<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentifyRequest").finish_non_exhaustive()
    }
}

/// Reads an answer for its stored form.
pub struct CaptureResponse<R, E>(Capturing<R, E>);

enum Capturing<R, E> {
    Done(Option<Captured<Response<R>, E>>),
    Reading(Option<ReadingAnswer<R>>),
}

struct ReadingAnswer<R> {
    parts: response::Parts,
    head: Option<Arc<[u8]>>,
    read: ReadBody<R>,
}

impl<R, E> Unpin for CaptureResponse<R, E> {}

impl<R: Rebuild, E> Future for CaptureResponse<R, E> {
    type Output = Captured<Response<R>, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let reading = match &mut self.0 {
            Capturing::Done(done) => match done.take() {
                Some(done) => return Poll::Ready(done),
                None => unreachable!("polled after completion"),
            },
            Capturing::Reading(reading) => reading,
        };
        let Some(open) = reading.as_mut() else {
            unreachable!("polled after completion")
        };
        let outcome = ready!(open.read.poll_read(cx));
        let Some(ReadingAnswer { mut parts, head, .. }) = reading.take() else {
            unreachable!("just seen")
        };
        let (body, envelope) = match outcome {
            // a copy: a slice of a larger buffer would keep the whole buffer alive as long as the record
            ReadOutcome::Whole(bytes) => {
                let envelope = Envelope {
                    ok: true,
                    status: parts.status.as_u16(),
                    head,
                    body: (&bytes[..]).into(),
                };
                (bytes, Some(envelope))
            }
            // the effect happened, its answer broke: status and headers are the truth that is left
            ReadOutcome::TooLarge | ReadOutcome::Broken => {
                parts.headers.remove(CONTENT_LENGTH);
                (Bytes::new(), None)
            }
        };
        Poll::Ready((Ok(Response::from_parts(parts, R::from(body))), envelope))
    }
}

impl<R, E> fmt::Debug for CaptureResponse<R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CaptureResponse").finish_non_exhaustive()
    }
}
