//! HTTP requests: the key is the header's, the fingerprint covers everything that says what is asked.
//!
//! | file | holds |
//! |---|---|
//! | `key` | which keys are taken |
//! | `scope` | whose keys they are |
//! | `fingerprint` | what tells a repeat from another request |
//! | `identify`, `capture` | the futures that read a request and an answer |
//! | `head` | the stored form of an answer's headers |
//! | `in_transaction` | what a handler stores that settles by itself |
//! | `refusal`, `stripe` | how a refusal is told, in whose words |

mod capture;
mod fingerprint;
mod head;
mod identify;
mod in_transaction;
mod key;
mod refusal;
mod scope;
mod stripe;

pub use self::capture::CaptureResponse;
pub use self::identify::IdentifyRequest;
pub use self::key::{IDEMPOTENCY_KEY, key_of};
pub use self::scope::KeyScope;

use self::key::KeyRules;
use self::refusal::{Profile, Words};
use crate::http::{Http, Rebuild};
use bytes::Bytes;
use http::header::{
    CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE, ETAG, HeaderName, LAST_MODIFIED,
    LINK, LOCATION,
};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use std::fmt;
use std::sync::Arc;
use tollgate_core::context::CallContext;
use tollgate_core::protocol::{Answers, Operation, Replays, Requests};
use tollgate_core::store::idempotency::{Envelope, Fingerprint, RecordKey, Tenant};
use tollgate_core::{IdempotencyKey, Rejection, RejectionKind, Secrets, Verdict};

/// Marks a response as a replay, by default.
pub const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Says how the key stands, where that is not plain from the answer: `in-progress`, `mismatch`, `unknown`, `expired`, `not-replayable`,
/// `not-stored`.
pub const IDEMPOTENCY_STATUS: HeaderName = crate::http::IDEMPOTENCY_STATUS;

type ScopeOf = dyn Fn(&Parts) -> Option<KeyScope> + Send + Sync;

/// How HTTP requests are guarded: which ones, in which scope, up to which sizes, and how a refusal is told.
///
/// ```
/// use tollgate::idempotency::GuardedHttp;
///
/// #[derive(Clone)]
/// struct Tenant { id: String, live: bool } // put into the extensions by the authentication layer, further out
///
/// let guarded = GuardedHttp::new()
///     .scope(|parts| {
///         let tenant = parts.extensions.get::<Tenant>()?;
///         Some((tenant.id.clone(), if tenant.live { "live" } else { "test" }))
///     })
///     .max_body(64 * 1024);
/// # let _ = guarded;
/// ```
///
/// # What is answered
///
/// | case | status (`ietf`) | code | headers | `retry` |
/// |---|---|---|---|---|
/// | no key | 400 | `key-missing` | | `after-fix` |
/// | key malformed, repeated, too long or too short | 400 | `key-invalid` | | `after-fix` |
/// | nobody to scope the key by | 500 (401 and 403 are the authentication's, further out) | `scope-missing` | | `do-not-retry` |
/// | request body over [`max_body`](Self::max_body) | 413 | `body-too-large` | | `after-fix` |
/// | another request under the key | 422, or [409](Self::mismatch_is_conflict) | `key-reused` | `Idempotency-Status: mismatch` | `new-key` |
/// | the first call still runs | 409, or [its answer](super::WhileInFlight::Wait) | `in-progress` | `Retry-After`, `Idempotency-Status: in-progress` | `same-key` |
/// | outcome unknown, its own caller | the handler's own; 500 if it panicked | `outcome-unknown` | `Idempotency-Status: unknown`, [`Link: …; rel="status"`](Self::status_link) | `same-key` |
/// | outcome unknown, a repeat | 409 | `outcome-unknown` | `Retry-After`, and the same two | `same-key` |
/// | too many [unknown outcomes](super::IdempotencyConfig::max_unresolved) of the caller, a new key | 429 | `too-many-unresolved` | `Retry-After` | `same-key` |
/// | the store did not begin: nothing was run | 503 | `store-unavailable` | `Retry-After` | `same-key` |
/// | the store did not settle: it was run | the handler's answer | | `Idempotency-Status: not-stored` | |
/// | the answer's retention is over | 409, or [410](Self::expired_is_gone) | `key-expired` | `Idempotency-Status: expired` | `do-not-retry` |
/// | the answer was too large, streamed, or cannot be read | 409 | `not-replayable` | `Idempotency-Status: not-replayable`, `Location` if the answer had one | `do-not-retry` |
/// | too many repeats wait for one call | as if none could wait | `in-progress` | `Retry-After` | `same-key` |
/// | a replay | the first answer's | | [`Idempotent-Replayed: true`](Self::replay_header) | |
///
/// Every refusal has a `Link: …; rel="describedby"` to its code's page. The key itself is not echoed: the record holds only its keyed
/// hash. Where a client reads an echo (Stripe's do), put `tower_http::propagate_header::PropagateHeaderLayer` outside.
///
/// # The fingerprint
///
/// Keyed, versioned, over method, path, query, media type, content encoding, body, and the headers named with
/// [`fingerprint_header`](Self::fingerprint_header). The path is the one this layer sees: inside axum's `nest` it lacks the prefix, so
/// that two nested routers look alike. Put the layer around the outer router.
#[derive(Clone)]
pub struct GuardedHttp(Arc<Settings>);

#[derive(Clone)]
struct Settings {
    scope: Option<Arc<ScopeOf>>,
    key_required: bool,
    key: KeyRules,
    methods: Vec<Method>,
    max_body: usize,
    max_answer: usize,
    fingerprinted: Vec<HeaderName>,
    kept_headers: Arc<[HeaderName]>,
    words: Words,
}

impl Default for GuardedHttp {
    fn default() -> Self {
        Self::new()
    }
}

impl GuardedHttp {
    /// POST and PATCH, key required, one scope for all callers, bodies up to 1 MiB both ways; the [`ietf`](Self::ietf) profile.
    #[must_use]
    pub fn new() -> Self {
        Self::with(Profile::Ietf)
    }

    /// As [`new`](Self::new), with its profile by name: refusals in the statuses of draft-ietf-httpapi-idempotency-key-header
    /// and as [problem documents](mod@crate::http::problem). Another request under a used key is a 422, a running one a 409.
    #[must_use]
    pub fn ietf() -> Self {
        Self::with(Profile::Ietf)
    }

    /// As [`new`](Self::new), with refusals as Stripe's client libraries expect them: `{"error": {"type", "code", "message", "doc_url"}}`.
    ///
    /// | case | status | `type` | `code` |
    /// |---|---|---|---|
    /// | another request under a used key | 400, and `Stripe-Should-Retry: false` | `idempotency_error` | `key-reused` |
    /// | the first call still runs | 409 | `invalid_request_error` | `idempotency_key_in_use` |
    /// | outcome unknown, answer not replayable or no longer kept | 409, and `Stripe-Should-Retry: false` | `api_error` | as in `ietf` |
    /// | anything else | as in `ietf` | by its status | as in `ietf` |
    ///
    /// Those libraries raise their `IdempotencyError` for a 400 of that type and would show the draft's 422 as an error of no
    /// particular kind; they repeat a 409 under the same key, and a 5xx too, unless the header forbids it. They send a key with every
    /// POST of their own accord, so a missing one stays an error here. Replays carry `Idempotent-Replayed: true` in either profile.
    ///
    /// What is stored and what runs again does not depend on the profile: an outcome that is not known stays so, where Stripe would
    /// replay a 500. Other layers' refusals (a rate limit's, say) stay problem documents.
    ///
    /// ```
    /// # use axum::{Router, body::Body, http::Request, routing::post};
    /// # use tollgate_core::{Secrets, store::memory::MemoryIdempotency};
    /// # use tower::ServiceExt;
    /// use tollgate::idempotency::{GuardedHttp, IdempotencyLayer};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let layer = IdempotencyLayer::dangerous_new(MemoryIdempotency::new(), Secrets::ephemeral(), GuardedHttp::stripe());
    /// let app: Router = Router::new().route("/v1/charges", post(|| async { "{}" })).layer(layer);
    ///
    /// let charge = |amount: &'static str| {
    ///     Request::post("/v1/charges").header("idempotency-key", "k-1").body(Body::from(amount)).unwrap()
    /// };
    /// assert_eq!(app.clone().oneshot(charge("amount=100")).await.unwrap().status(), 200);
    /// assert_eq!(app.oneshot(charge("amount=900")).await.unwrap().status(), 400); // 422 in the draft's words
    /// # }
    /// ```
    #[must_use]
    pub fn stripe() -> Self {
        Self::with(Profile::Stripe)
    }

    fn with(profile: Profile) -> Self {
        Self(Arc::new(Settings {
            scope: None,
            key_required: true,
            key: KeyRules::LENIENT,
            methods: vec![Method::POST, Method::PATCH],
            max_body: 1 << 20,
            max_answer: 1 << 20,
            fingerprinted: Vec::new(),
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
            words: Words::of(profile),
        }))
    }

    fn set(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// Sets whose keys these are: tenant and environment, from what the authentication layer left in the extensions
    /// (default: one scope for all, which is right only for a single tenant). Never the bearer token: it changes, and the
    /// retry after a refresh would land in another scope and run again. `None` refuses the request before its body is read.
    #[must_use]
    pub fn scope<S: Into<KeyScope>>(
        self,
        scope: impl Fn(&Parts) -> Option<S> + Send + Sync + 'static,
    ) -> Self {
        self.set(|to| to.scope = Some(Arc::new(move |parts| scope(parts).map(Into::into))))
    }

    /// Lets requests without a key pass unguarded (default: they are refused with `key-missing`). For moving a live API over.
    #[must_use]
    pub fn dangerous_key_optional(self) -> Self {
        self.set(|to| to.key_required = false)
    }

    /// Takes only keys in quotes, as the draft has them (default: bare ones too, as most clients send them).
    #[must_use]
    pub fn quoted_keys_only(self) -> Self {
        self.set(|to| to.key.quoted_only = true)
    }

    /// Sets the shortest key that is taken, in bytes (default: 1). A short key is a guessable one, or a counter that starts again.
    #[must_use]
    pub fn min_key_length(self, bytes: usize) -> Self {
        self.set(|to| to.key.shortest = bytes)
    }

    /// Guards another method (default: POST and PATCH). PUT and DELETE repeat themselves by nature only if their handlers see to it;
    /// reads need no guard. It counts as this layer sees it: what makes a POST of a GET with `X-HTTP-Method-Override` belongs further out.
    #[must_use]
    pub fn guard_method(self, method: Method) -> Self {
        self.set(|to| to.methods.push(method))
    }

    /// Sets the largest request body in bytes (default: 1 MiB). Larger ones are refused before anything is claimed. The body is read before
    /// the key is claimed, so that a slow upload holds nothing but its bytes; how long it may take is for a time-out further out. Trailers
    /// are dropped.
    #[must_use]
    pub fn max_body(self, bytes: usize) -> Self {
        self.set(|to| to.max_body = bytes)
    }

    /// Sets the largest answer that is stored, in bytes (default: 1 MiB). Larger ones, those that stream, and upgrades (101) are passed
    /// through; a repeat then gets `not-replayable`, with the answer's `Location`. One that breaks off while it is read is told, once, with
    /// its status and headers and no body. Trailers of an answer that is stored are dropped.
    #[must_use]
    pub fn max_answer(self, bytes: usize) -> Self {
        self.set(|to| to.max_answer = bytes)
    }

    /// Lets a request header count for whether two requests are the same (default: content type and encoding). For an API version or
    /// the account that is acted for; not for `authorization`, dates and traces, which differ between honest repeats.
    #[must_use]
    pub fn fingerprint_header(self, name: HeaderName) -> Self {
        self.set(|to| to.fingerprinted.push(name))
    }

    /// Keeps another response header for replays (default: content-type, -language, -disposition, -encoding, location, etag,
    /// last-modified, link). Cookies and hop-by-hop headers have no business there.
    #[must_use]
    pub fn keep_header(self, name: HeaderName) -> Self {
        self.set(|to| to.kept_headers = to.kept_headers.iter().cloned().chain([name]).collect())
    }

    /// Marks replays with another header (default: [`Idempotent-Replayed`](IDEMPOTENT_REPLAYED)). Its value is `true`.
    #[must_use]
    pub fn replay_header(self, name: HeaderName) -> Self {
        self.set(|to| to.words.replay_header = name)
    }

    /// Answers another request under a used key with 409 (default: 422, in the `stripe` profile 400). For APIs whose 422 means
    /// something else already.
    #[must_use]
    pub fn mismatch_is_conflict(self) -> Self {
        self.set(|to| to.words.mismatch_is_conflict = true)
    }

    /// Answers a key whose answer is no longer kept with 410 (default: 409).
    #[must_use]
    pub fn expired_is_gone(self) -> Self {
        self.set(|to| to.words.expired_is_gone = true)
    }

    /// Says where an outcome can be looked up: `Link: <…>; rel="status"` on whatever is in doubt (default: none).
    #[must_use]
    pub fn status_link(self, place: &Uri) -> Self {
        // a `Uri` holds nothing that a header could not
        self.set(|to| to.words.status_link = HeaderValue::try_from(format!("<{place}>; rel=\"status\"")).ok())
    }

    fn guards(&self, method: &Method) -> bool {
        self.0.methods.contains(method)
    }

    /// Which record is this key's, and on whose account.
    fn record_of(
        &self,
        parts: &Parts,
        key: &IdempotencyKey,
        secrets: &Secrets,
    ) -> Result<(RecordKey, Tenant), Rejection> {
        let scope = match &self.0.scope {
            None => None,
            Some(scope_of) => Some(scope_of(parts).ok_or(RejectionKind::ScopeMissing)?),
        };
        Ok((
            scope::record_key(secrets, scope.as_ref(), key.as_str()),
            scope::tenant(secrets, scope.as_ref()),
        ))
    }

    fn fingerprint(&self, parts: &Parts, body: &[u8], secrets: &Secrets) -> Fingerprint {
        let fields = fingerprint::canonical(parts, &self.0.fingerprinted);
        secrets.fingerprint(&[fields.as_bytes(), body])
    }
}

impl fmt::Debug for GuardedHttp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedHttp")
            .field("scoped", &self.0.scope.is_some())
            .field("key_required", &self.0.key_required)
            .field("key", &self.0.key)
            .field("methods", &self.0.methods)
            .field("max_body", &self.0.max_body)
            .field("max_answer", &self.0.max_answer)
            .field("fingerprinted", &self.0.fingerprinted)
            .field("kept_headers", &self.0.kept_headers)
            .field("words", &self.0.words)
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
        Ok(self.0.words.refusal(&rejection))
    }
}

impl<B: Rebuild, R: Rebuild, E> Replays<Request<B>, Response<R>, E> for GuardedHttp {
    type Identify = IdentifyRequest<B>;
    type Capture = CaptureResponse<R, E>;

    fn identify(&self, req: Request<B>, secrets: &Secrets) -> IdentifyRequest<B> {
        IdentifyRequest::new(self, req, secrets)
    }

    fn capture(&self, answer: Result<Response<R>, E>) -> CaptureResponse<R, E> {
        CaptureResponse::new(answer, &self.0.kept_headers, self.0.max_answer)
    }

    fn replay(&self, envelope: &Envelope) -> Option<Result<Response<R>, E>> {
        let status = StatusCode::from_u16(envelope.status).ok()?;
        let head = head::decode(envelope.head.as_deref().unwrap_or_default())?;
        if head.elided {
            return Some(Ok(self.0.words.elided(head)));
        }
        let mut response = Response::new(R::from(Bytes::copy_from_slice(&envelope.body)));
        *response.status_mut() = status;
        *response.headers_mut() = head.headers;
        let replayed = self.0.words.replay_header.clone();
        response
            .headers_mut()
            .insert(replayed, HeaderValue::from_static("true"));
        Some(Ok(response))
    }

    fn in_doubt(&self, answer: Option<Result<Response<R>, E>>) -> Result<Response<R>, E> {
        Ok(self.0.words.in_doubt(answer.transpose()?))
    }

    fn not_stored(&self, answer: Result<Response<R>, E>) -> Result<Response<R>, E> {
        answer.map(|mut answer| {
            answer
                .headers_mut()
                .insert(IDEMPOTENCY_STATUS, HeaderValue::from_static("not-stored"));
            answer
        })
    }
}
