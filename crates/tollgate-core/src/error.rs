//! The error of a typed payment call.
//!
//! Opaque, with public questions: [`kind`](PaymentError::kind) for people and metrics,
//! [`verdict`](crate::Fault::verdict) for everything that decides. It has a stored form, so that a replayed decline
//! is the same error value, challenge and all (the seed replayed every failure as a bare base error).

use crate::codec::{Decoder, Encoder, Recorded};
use crate::id::PaymentId;
use crate::masked::masked;
use crate::protocol::Fault;
use crate::rejection::{Rejection, RejectionKind};
use crate::verdict::{Advice, Blame, Effect, Verdict};
use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal, $effect:ident, $advice:ident, $blame:ident;)+) => {
        /// What went wrong, for people and metrics. Decisions are made from the verdict, not from the kind: *network*
        /// may be "not sent" or "unknown".
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum PaymentErrorKind { $($(#[doc = $doc])+ $name,)+ }

        impl PaymentErrorKind {
            /// Every kind, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The stable lower-case name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }

            /// The kind with this name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($code => Some(Self::$name),)+ _ => None }
            }

            const fn verdict(self) -> Verdict {
                match self { $(Self::$name => Verdict::new(Effect::$effect, Advice::$advice, Blame::$blame),)+ }
            }
        }
    };
}

kinds! {
    /// The connection could not be made, or was lost.
    Network = "network", Unknown, QueryFirst, Network;
    /// No answer in time. The charge may have happened.
    Timeout = "timeout", Unknown, QueryFirst, Gateway;
    /// The gateway turned the call away for going too fast.
    RateLimited = "rate_limited", TurnedAway, SameKey, Caller;
    /// The gateway failed while working on it (5xx, an answer that cannot be read).
    Gateway = "gateway", Unknown, QueryFirst, Gateway;
    /// The issuer said no.
    Declined = "declined", Declined, OtherInstrument, Issuer;
    /// The issuer said no for lack of funds.
    InsufficientFunds = "insufficient_funds", Declined, NewAttempt, Issuer;
    /// Blocked as fraud, by the gateway or by a rule of ours.
    FraudBlocked = "fraud_blocked", Declined, Never, Issuer;
    /// The payer has to authenticate; the challenge says where.
    AuthenticationRequired = "authentication_required", Declined, Authenticate, Issuer;
    /// The gateway could not make sense of the call.
    InvalidRequest = "invalid_request", TurnedAway, CorrectInput, Caller;
    /// The gateway does not know our credentials, or does not allow the call.
    Unauthorized = "unauthorized", TurnedAway, Never, Ourselves;
    /// The gateway has no such payment.
    NotFound = "not_found", TurnedAway, Never, Caller;
    /// It was captured, voided or refunded before: the payment's status says what to do.
    AlreadyDone = "already_done", Declined, QueryFirst, Caller;
    /// The key was used for a different request.
    IdempotencyConflict = "idempotency_conflict", TurnedAway, NewAttempt, Caller;
    /// A request with the same key is running.
    IdempotencyInFlight = "idempotency_in_flight", Unknown, SameKey, Caller;
    /// The outcome is not known yet.
    UnknownOutcome = "unknown_outcome", Unknown, QueryFirst, Ourselves;
    /// The gateway carried out something else than what was asked.
    IntegrityMismatch = "integrity_mismatch", Executed, QueryFirst, Gateway;
    /// A saga could not undo a step; a person has to look.
    CompensationFailed = "compensation_failed", Unknown, QueryFirst, Ourselves;
    /// A webhook's signature is missing, malformed or wrong.
    WebhookSignature = "webhook_signature", NotSent, Never, Caller;
    /// A webhook is too old, too far in the future, or was seen before.
    WebhookReplay = "webhook_replay", NotSent, Never, Caller;
    /// A layer of this process said no.
    Rejected = "rejected", NotSent, SameKey, Ourselves;
}

/// Where the payer authenticates.
#[derive(Clone, PartialEq, Eq)]
pub struct Challenge {
    /// The address to send the payer to. It opens a session, so it is not printed.
    pub url: String,
}

impl fmt::Debug for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Challenge(..)")
    }
}

/// Why a payment call failed, and what that says about the money.
///
/// ```
/// use tollgate_core::codec::Recorded;
/// use tollgate_core::{Advice, Effect, Fault, PaymentError};
///
/// let error = PaymentError::authentication_required("3-D Secure", "https://bank.example/challenge/1");
/// assert_eq!(error.verdict().effect, Effect::Declined);   // final under this key
/// assert_eq!(error.verdict().advice, Advice::Authenticate);
/// // stored and given back, it is the same error value
/// assert_eq!(PaymentError::from_recorded(error.to_recorded().as_bytes()), Some(error));
/// ```
#[derive(Clone)]
pub struct PaymentError(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: PaymentErrorKind,
    verdict: Verdict,
    message: Cow<'static, str>,
    code: Option<Cow<'static, str>>,
    challenge: Option<Challenge>,
    payment: Option<PaymentId>,
    rejection: Option<Rejection>,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl PaymentError {
    /// An error of this kind, with the kind's usual verdict. Card data in the message is masked.
    #[must_use]
    pub fn new(kind: PaymentErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            kind,
            verdict: kind.verdict(),
            message: masked(message.into()),
            code: None,
            challenge: None,
            payment: None,
            rejection: None,
            source: None,
        }))
    }

    /// The connection could not be made: nothing was sent.
    #[must_use]
    pub fn not_connected(message: impl Into<Cow<'static, str>>) -> Self {
        let mut error = Self::new(PaymentErrorKind::Network, message);
        error.0.verdict = Verdict::new(Effect::NotSent, Advice::SameKey, Blame::Network);
        error
    }

    /// The connection was lost after something was sent: it may have happened.
    #[must_use]
    pub fn connection_lost(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(PaymentErrorKind::Network, message)
    }

    /// No answer in time: it may have happened.
    #[must_use]
    pub fn timeout(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(PaymentErrorKind::Timeout, message)
    }

    /// The gateway turned the call away for going too fast.
    #[must_use]
    pub fn rate_limited(message: impl Into<Cow<'static, str>>, retry_after: Option<Duration>) -> Self {
        let mut error = Self::new(PaymentErrorKind::RateLimited, message);
        error.0.verdict.retry_after = retry_after;
        error
    }

    /// The issuer said no. `code` is the gateway's decline code.
    #[must_use]
    pub fn declined(message: impl Into<Cow<'static, str>>, code: impl Into<Cow<'static, str>>) -> Self {
        Self::new(PaymentErrorKind::Declined, message).with_code(code)
    }

    /// The payer has to authenticate at this address.
    #[must_use]
    pub fn authentication_required(message: impl Into<Cow<'static, str>>, url: impl Into<String>) -> Self {
        let mut error = Self::new(PaymentErrorKind::AuthenticationRequired, message);
        error.0.challenge = Some(Challenge { url: url.into() });
        error
    }

    /// Sets the gateway's own code (default: none).
    #[must_use]
    pub fn with_code(mut self, code: impl Into<Cow<'static, str>>) -> Self {
        self.0.code = Some(masked(code.into()));
        self
    }

    /// Sets which payment it is about (default: not known).
    #[must_use]
    pub fn with_payment(mut self, payment: PaymentId) -> Self {
        self.0.payment = Some(payment);
        self
    }

    /// Sets what caused it (default: nothing). The source is not part of the stored form, and neither `Display` nor `Debug` of this error
    /// shows it; whoever walks the chain of sources prints what the source says, so keep request bodies out of it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into().into());
        self
    }

    /// Replaces the kind's usual verdict, for gateways that are known to differ. `Unknown` is the safe answer;
    /// anything better needs the gateway's documented word.
    #[must_use]
    pub fn with_verdict(mut self, verdict: Verdict) -> Self {
        self.0.verdict = verdict;
        self
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> PaymentErrorKind {
        self.0.kind
    }

    /// The message, without card data.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The gateway's own code.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// Where the payer authenticates.
    #[must_use]
    pub fn challenge(&self) -> Option<&Challenge> {
        self.0.challenge.as_ref()
    }

    /// Which payment it is about.
    #[must_use]
    pub fn payment(&self) -> Option<&PaymentId> {
        self.0.payment.as_ref()
    }

    /// The layer's no that it carries, if it is one.
    #[must_use]
    pub fn rejection(&self) -> Option<&Rejection> {
        self.0.rejection.as_ref()
    }

    /// The seed's flag, kept for those who move over: true for network failures, time-outs and rate limits. **It says
    /// nothing about whether the money moved**; nothing in tollgate asks it. Ask [`verdict`](Fault::verdict).
    #[must_use]
    pub fn retriable(&self) -> bool {
        matches!(
            self.0.kind,
            PaymentErrorKind::Network | PaymentErrorKind::Timeout | PaymentErrorKind::RateLimited
        )
    }
}

/// A name or text that was refused before anything was sent.
impl From<crate::id::InvalidText> for PaymentError {
    fn from(error: crate::id::InvalidText) -> Self {
        let unsent = Verdict::new(Effect::NotSent, Advice::CorrectInput, Blame::Caller);
        Self::new(PaymentErrorKind::InvalidRequest, error.to_string())
            .with_verdict(unsent)
            .with_source(error)
    }
}

impl Fault for PaymentError {
    fn refused(rejection: Rejection) -> Self {
        let kind = match rejection.kind() {
            RejectionKind::KeyReused => PaymentErrorKind::IdempotencyConflict,
            RejectionKind::KeyInFlight => PaymentErrorKind::IdempotencyInFlight,
            RejectionKind::OutcomeUnknown | RejectionKind::NotReplayable | RejectionKind::KeyExpired => {
                PaymentErrorKind::UnknownOutcome
            }
            RejectionKind::DeadlineAfterSend => PaymentErrorKind::Timeout,
            RejectionKind::FraudBlocked => PaymentErrorKind::FraudBlocked,
            RejectionKind::ChallengeRequired => PaymentErrorKind::AuthenticationRequired,
            RejectionKind::SignatureMissing
            | RejectionKind::SignatureMalformed
            | RejectionKind::SignatureMismatch => PaymentErrorKind::WebhookSignature,
            RejectionKind::TimestampOutsideWindow => PaymentErrorKind::WebhookReplay,
            _ => PaymentErrorKind::Rejected,
        };
        let mut error = Self::new(kind, rejection.kind().title());
        error.0.code = Some(rejection.kind().code().into());
        error.0.verdict = rejection.verdict();
        error.0.rejection = Some(rejection);
        error
    }

    fn verdict(&self) -> Verdict {
        self.0.verdict
    }
}

impl PartialEq for PaymentError {
    /// Everything but the source, which has no equality.
    fn eq(&self, other: &Self) -> bool {
        let view = |e: &Self| (e.0.kind, e.0.verdict);
        view(self) == view(other)
            && self.0.message == other.0.message
            && self.0.code == other.0.code
            && self.0.challenge == other.0.challenge
            && self.0.payment == other.0.payment
            && self.0.rejection == other.0.rejection
    }
}

impl Eq for PaymentError {}

impl fmt::Debug for PaymentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("PaymentError");
        out.field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("effect", &self.0.verdict.effect);
        if let Some(code) = &self.0.code {
            out.field("code", code);
        }
        if let Some(payment) = &self.0.payment {
            out.field("payment", payment);
        }
        if let Some(rejection) = &self.0.rejection {
            out.field("rejection", rejection);
        }
        out.finish_non_exhaustive()
    }
}

impl fmt::Display for PaymentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.rejection {
            Some(rejection) => rejection.fmt(f),
            None => {
                write!(f, "{}: {}", self.0.kind.as_str(), self.0.message)?;
                self.0.code.as_ref().map_or(Ok(()), |code| write!(f, " ({code})"))
            }
        }
    }
}

impl Error for PaymentError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|source| source as &(dyn Error + 'static))
    }
}

const EFFECTS: [Effect; 5] = [
    Effect::NotSent,
    Effect::TurnedAway,
    Effect::Declined,
    Effect::Executed,
    Effect::Unknown,
];
const ADVICE: [Advice; 7] = [
    Advice::SameKey,
    Advice::NewAttempt,
    Advice::CorrectInput,
    Advice::Authenticate,
    Advice::OtherInstrument,
    Advice::QueryFirst,
    Advice::Never,
];
const BLAME: [Blame; 5] = [
    Blame::Caller,
    Blame::Issuer,
    Blame::Network,
    Blame::Gateway,
    Blame::Ourselves,
];

fn place<T: PartialEq>(table: &[T], value: &T) -> u8 {
    table
        .iter()
        .position(|t| t == value)
        .and_then(|at| u8::try_from(at).ok())
        .unwrap_or(u8::MAX)
}

fn encode_wait(wait: Option<Duration>, out: &mut Encoder) {
    out.optional_int(wait.map(|wait| i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)));
}

fn decode_wait(bytes: &mut Decoder<'_>) -> Option<Option<Duration>> {
    match bytes.optional_int()? {
        None => Some(None),
        Some(millis) => Some(Some(Duration::from_millis(u64::try_from(millis).ok()?))),
    }
}

fn encode_verdict(verdict: &Verdict, out: &mut Encoder) {
    out.byte(place(&EFFECTS, &verdict.effect))
        .byte(place(&ADVICE, &verdict.advice))
        .byte(place(&BLAME, &verdict.blame));
    encode_wait(verdict.retry_after, out);
}

fn decode_verdict(bytes: &mut Decoder<'_>) -> Option<Verdict> {
    Some(Verdict {
        effect: *EFFECTS.get(usize::from(bytes.byte()?))?,
        advice: *ADVICE.get(usize::from(bytes.byte()?))?,
        blame: *BLAME.get(usize::from(bytes.byte()?))?,
        retry_after: decode_wait(bytes)?,
    })
}

impl Recorded for PaymentError {
    const SCHEMA: u16 = 1;

    fn encode(&self, out: &mut Encoder) {
        let inner = &*self.0;
        out.text(inner.kind.as_str())
            .text(&inner.message)
            .optional_text(inner.code.as_deref());
        encode_verdict(&inner.verdict, out);
        out.optional_text(inner.challenge.as_ref().map(|c| c.url.as_str()))
            .optional_text(inner.payment.as_ref().map(PaymentId::as_str))
            .optional_text(inner.rejection.as_ref().map(|r| r.kind().code()));
        if let Some(rejection) = &inner.rejection {
            out.text(rejection.detail());
            encode_wait(rejection.retry_after(), out);
        }
    }

    fn decode(schema: u16, bytes: &mut Decoder<'_>) -> Option<Self> {
        if schema != 1 {
            return None;
        }
        let kind = PaymentErrorKind::from_name(bytes.text()?)?;
        let mut error = Self::new(kind, bytes.text()?.to_owned());
        let inner = &mut *error.0;
        inner.code = bytes.optional_text()?.map(|code| code.to_owned().into());
        inner.verdict = decode_verdict(bytes)?;
        inner.challenge = bytes
            .optional_text()?
            .map(|url| Challenge { url: url.to_owned() });
        inner.payment = match bytes.optional_text()? {
            None => None,
            Some(id) => Some(PaymentId::new(id).ok()?),
        };
        if let Some(code) = bytes.optional_text()? {
            let detail = bytes.text()?.to_owned();
            let mut rejection = Rejection::new(RejectionKind::from_code(code)?).because(detail);
            if let Some(wait) = decode_wait(bytes)? {
                rejection = rejection.after(wait);
            }
            inner.rejection = Some(rejection);
        }
        Some(error)
    }
}

/// Services that fail with a boxed error work as they are: our refusals are recognised, a [`PaymentError`] inside
/// is asked, and everything else is unknown.
impl Fault for Box<dyn Error + Send + Sync> {
    fn refused(rejection: Rejection) -> Self {
        rejection.into()
    }

    fn verdict(&self) -> Verdict {
        if let Some(rejection) = self.downcast_ref::<Rejection>() {
            rejection.verdict()
        } else if let Some(error) = self.downcast_ref::<PaymentError>() {
            error.verdict()
        } else {
            Verdict::UNKNOWN
        }
    }
}
