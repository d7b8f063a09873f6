//! What a layer may ask of a request and of an answer, in halves, so that each layer asks only for what it needs.
//!
//! | trait | asked by | what for |
//! |---|---|---|
//! | [`Answers`] | every layer | judge a `Result`, turn a [`Rejection`] into one |
//! | [`Requests`] | retry, audit, fraud, deadline, … | name the operation, find the call's context |
//! | [`Repeats`] | retry | the same request once more |
//! | [`Replays`] | idempotency, cache | identify a request, store its answer, give it back |
//!
//! `tollgate` ships three protocols: `Gateway` (typed calls), `Http` (a server that answers) and `HttpClient` (its
//! client-side twin that errs). gRPC would be another, in somebody else's crate: one `impl Answers` is enough for
//! breaker, limiter and timing.

use crate::context::CallContext;
use crate::rejection::{Rejection, RejectionKind};
use crate::secret::Secrets;
use crate::store::idempotency::{Envelope, Fingerprint, RecordKey, Tenant};
use crate::verdict::Verdict;
use std::future::Future;

/// What is being asked, borrowed from the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Operation<'r> {
    /// A name from a small, bounded set: it becomes a metric label. `"sale"`, `"POST /charges/{id}"`.
    pub name: &'r str,
    /// Whether carrying it out can move money. `true` when in doubt.
    pub moves_money: bool,
}

/// What a layer may ask about an answer.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not know how to judge or refuse a `Result<{Res}, {Err}>`",
    label = "the service under this layer answers `Result<{Res}, {Err}>`",
    note = "typed calls: use `Gateway`; the error must be a `Fault`",
    note = "HTTP servers: use `Http`; the response must be `http::Response<B>` with `B: Rebuild`",
    note = "anything else: implement `Answers` for your own protocol type"
)]
pub trait Answers<Res, Err> {
    /// What became of the money, what may be done, whose fault. [`Verdict::UNKNOWN`] for whatever is not known.
    fn judge(&self, answer: &Result<Res, Err>) -> Verdict;

    /// The answer that carries a layer's own no. `judge` of it must give the rejection's verdict.
    fn refuse(&self, rejection: Rejection) -> Result<Res, Err>;
}

/// What a layer may ask about a request.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot find the operation and the call context in a `{Req}`",
    label = "this layer needs them",
    note = "typed calls: the request is a `Call<M>` with `M: Message`; HTTP: an `http::Request<B>`"
)]
pub trait Requests<Req> {
    /// What is being asked.
    fn operation<'r>(&self, req: &'r Req) -> Operation<'r>;

    /// The context, if one was put there.
    fn context<'r>(&self, req: &'r Req) -> Option<&'r CallContext>;

    /// The context, made if there is none.
    fn context_mut<'r>(&self, req: &'r mut Req) -> &'r mut CallContext;
}

/// Only retry asks this, so only retry makes a request be repeatable.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot repeat a `{Req}`",
    note = "retry needs the request to be `Clone`; a streaming body is not: buffer it first"
)]
pub trait Repeats<Req>: Requests<Req> {
    /// The same request for another attempt, byte for byte; `None` if this one cannot be repeated.
    fn repeat(&self, req: &Req) -> Option<Req>;
}

/// Who a guarded request is and what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Names its record: a keyed hash of scope and client key.
    pub key: RecordKey,
    /// Tells a repeat from a reuse: a keyed hash of everything that must not differ.
    pub fingerprint: Fingerprint,
    /// On whose account it counts if its outcome becomes unknown.
    pub tenant: Tenant,
}

/// A request after its key was looked for.
#[derive(Debug)]
pub enum Identified<Req> {
    /// To be guarded under this identity.
    Guard {
        /// The request, its body buffered.
        req: Req,
        /// Who it is and what it says.
        identity: Identity,
    },
    /// Not guarded: a read, or an operation that the configuration leaves alone.
    Bypass(Req),
}

/// An answer and its stored form; `None` when it is too large, streams, or has none.
pub type Captured<Res, Err> = (Result<Res, Err>, Option<Envelope>);

/// What the idempotency layer asks: identify a request, store its answer, give it back.
#[diagnostic::on_unimplemented(
    message = "the idempotency layer cannot guard `{Req}` -> `Result<{Res}, {Err}>` with protocol `{Self}`",
    note = "typed calls: the request is a `Call<M>` with `M: KeyedMessage`, the answer and the error need `Recorded`",
    note = "HTTP: request and response bodies need `Rebuild`; `MapRequestBodyLayer::new(axum::body::Body::new)` gives them one"
)]
pub trait Replays<Req, Res, Err>: Requests<Req> + Answers<Res, Err> {
    /// Reads the key, buffers the body, takes the fingerprint. Dropping it costs nothing: nothing is claimed yet.
    type Identify: Future<Output = Result<Identified<Req>, Rejection>>;
    /// Reads the answer up to a limit.
    type Capture: Future<Output = Captured<Res, Err>>;

    /// Starts to identify a request.
    fn identify(&self, req: Req, secrets: &Secrets) -> Self::Identify;

    /// Starts to make the stored form of an answer.
    fn capture(&self, answer: Result<Res, Err>) -> Self::Capture;

    /// The answer from its stored form. `None`: this build cannot read it (never treated as absent).
    fn replay(&self, envelope: &Envelope) -> Option<Result<Res, Err>>;

    /// What the caller is told whose own call has an outcome that nobody knows: `answer` is the service's, `None` when it panicked or
    /// when its last word is contradicted by an earlier attempt. By default the answer as it is, or an
    /// [`OutcomeUnknown`](RejectionKind::OutcomeUnknown).
    fn in_doubt(&self, answer: Option<Result<Res, Err>>) -> Result<Res, Err> {
        answer.unwrap_or_else(|| self.refuse(RejectionKind::OutcomeUnknown.into()))
    }

    /// What the caller is told when the store could not yet write the answer down. By default the answer as it is, which is true.
    fn not_stored(&self, answer: Result<Res, Err>) -> Result<Res, Err> {
        answer
    }
}

/// Both halves. Never implemented by hand.
pub trait Protocol<Req, Res, Err>: Requests<Req> + Answers<Res, Err> {}

impl<P, Req, Res, Err> Protocol<Req, Res, Err> for P where P: Requests<Req> + Answers<Res, Err> {}

/// The error of a typed call: it can carry a layer's refusal, and it says what became of the money.
///
/// ```
/// use tollgate_core::{Effect, Fault, Rejection, RejectionKind, Verdict};
///
/// #[derive(Debug)]
/// enum BankError { Refused(Rejection), NoFunds, Other(String) }
///
/// impl Fault for BankError {
///     fn refused(rejection: Rejection) -> Self { Self::Refused(rejection) }
///     fn verdict(&self) -> Verdict {
///         match self {
///             Self::Refused(rejection) => rejection.verdict(),
///             Self::NoFunds => Verdict::DECLINED,
///             Self::Other(_) => Verdict::UNKNOWN, // whatever is not listed
///         }
///     }
/// }
/// assert_eq!(BankError::Other("?".into()).verdict().effect, Effect::Unknown);
/// assert_eq!(BankError::refused(RejectionKind::RateLimited.into()).verdict().effect, Effect::NotSent);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a `Fault`: it cannot carry a rejection and does not say whether money may have moved",
    label = "a typed (`gateway`) layer stands over a service that fails with `{Self}`",
    note = "is this an HTTP server, such as an axum router? Then build the layer with `::http(..)`",
    note = "else implement `Fault` for `{Self}`; whatever it does not know must be `Verdict::UNKNOWN`"
)]
pub trait Fault: Sized {
    /// The error that carries a layer's own no.
    fn refused(rejection: Rejection) -> Self;

    /// What it says about the money.
    fn verdict(&self) -> Verdict;
}
