//! How a layer itself says no.
//!
//! The adapter decides how a rejection leaves: in a typed stack it becomes the error ([`Fault::refused`]), in an
//! HTTP stack a problem document (RFC 9457). The layer's logic knows neither.
//!
//! [`Fault::refused`]: crate::protocol::Fault::refused

use crate::masked::masked;
use crate::verdict::{Advice, Blame, Effect, Verdict};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

macro_rules! rejection_kinds {
    ($($(#[doc = $doc:literal])+ $name:ident => $code:literal, $title:literal, $effect:ident, $advice:ident, $blame:ident;)+) => {
        /// Why a layer said no. The kind decides the effect: *key in flight* is `Unknown`, since what runs under
        /// the key may have moved money, while *circuit open* is certainly `NotSent`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        #[non_exhaustive]
        pub enum RejectionKind { $($(#[doc = $doc])+ $name,)+ }

        impl RejectionKind {
            /// Every kind, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The stable code used in problem documents, logs and metrics.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }

            /// The kind with this code.
            #[must_use]
            pub fn from_code(code: &str) -> Option<Self> {
                match code { $($code => Some(Self::$name),)+ _ => None }
            }

            /// One short sentence for people (the `title` of a problem document).
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)+ }
            }

            /// What a rejection of this kind says about the money.
            #[must_use]
            pub const fn verdict(self) -> Verdict {
                match self { $(Self::$name => Verdict::new(Effect::$effect, Advice::$advice, Blame::$blame),)+ }
            }
        }
    };
}

rejection_kinds! {
    /// The circuit breaker is open: the peer is not called.
    CircuitOpen => "circuit-open", "The payment gateway is not being called at the moment", NotSent, SameKey, Ourselves;
    /// A quota is used up.
    RateLimited => "rate-limited", "Too many requests", NotSent, SameKey, Ourselves;
    /// A bounded resource of this process is full.
    Overloaded => "overloaded", "This service is overloaded", NotSent, SameKey, Ourselves;
    /// The deadline passed before anything was sent.
    DeadlineBeforeSend => "deadline-before-send", "The deadline passed before anything was sent", NotSent, NewAttempt, Ourselves;
    /// The deadline passed while the peer was working: it may have happened.
    DeadlineAfterSend => "deadline-after-send", "The deadline passed while the outcome was still open", Unknown, QueryFirst, Gateway;
    /// A guarded request carries no idempotency key.
    KeyMissing => "key-missing", "This request needs an Idempotency-Key", NotSent, CorrectInput, Caller;
    /// The key is malformed, repeated, too short or too long.
    KeyInvalid => "key-invalid", "The Idempotency-Key is malformed", NotSent, CorrectInput, Caller;
    /// The key was used for a different request.
    KeyReused => "key-reused", "The Idempotency-Key was used for a different request", NotSent, NewAttempt, Caller;
    /// The first request with this key is still running.
    KeyInFlight => "in-progress", "A request with this Idempotency-Key is still running", Unknown, SameKey, Ourselves;
    /// The stored answer is past its retention: the key is spent.
    KeyExpired => "key-expired", "The answer for this Idempotency-Key is no longer kept", Unknown, QueryFirst, Caller;
    /// The outcome of the first request is not known yet.
    OutcomeUnknown => "outcome-unknown", "The outcome of this request is not known yet", Unknown, QueryFirst, Ourselves;
    /// Too many outcomes of this caller are unknown: no new key is claimed until some of them are known.
    TooManyUnresolved => "too-many-unresolved", "Too many earlier requests have an outcome that is not known yet", NotSent, SameKey, Ourselves;
    /// It happened, but its answer cannot be given back.
    NotReplayable => "not-replayable", "The request was carried out, but its answer cannot be replayed", Unknown, QueryFirst, Ourselves;
    /// No tenant or principal to scope a key by.
    ScopeMissing => "scope-missing", "The request has no principal to scope its Idempotency-Key by", NotSent, Never, Ourselves;
    /// A store that guards money does not answer, and nothing was sent.
    StoreUnavailable => "store-unavailable", "A store that this request needs does not answer", NotSent, SameKey, Ourselves;
    /// The audit log does not take the intent, so nothing was sent.
    AuditUnavailable => "audit-unavailable", "The audit log does not take entries", NotSent, SameKey, Ourselves;
    /// The body is over the limit.
    BodyTooLarge => "body-too-large", "The request body is too large", NotSent, CorrectInput, Caller;
    /// The body broke off while it was read.
    BodyUnreadable => "body-unreadable", "The request body could not be read", NotSent, CorrectInput, Caller;
    /// A fraud rule blocked the payment.
    FraudBlocked => "fraud-blocked", "The payment was blocked", NotSent, Never, Caller;
    /// A fraud rule asks for authentication of the payer.
    ChallengeRequired => "challenge-required", "The payer has to authenticate", NotSent, Authenticate, Caller;
    /// A fraud rule asks for a person to look at the payment.
    ReviewRequired => "review-required", "The payment is held for review", NotSent, NewAttempt, Caller;
    /// A webhook without a signature.
    SignatureMissing => "signature-missing", "The webhook carries no signature", NotSent, CorrectInput, Caller;
    /// A webhook whose signature header cannot be read.
    SignatureMalformed => "signature-malformed", "The webhook's signature header is malformed", NotSent, CorrectInput, Caller;
    /// A webhook whose signature does not match.
    SignatureMismatch => "signature-mismatch", "The webhook's signature does not match", NotSent, Never, Caller;
    /// A webhook outside the time window, in either direction.
    TimestampOutsideWindow => "timestamp-outside-window", "The webhook's timestamp is outside the window", NotSent, Never, Caller;
    /// A webhook event that another delivery is processing at the moment.
    EventInProgress => "event-in-progress", "The event is being processed by another delivery", NotSent, SameKey, Caller;
    /// The stack is put together or configured in a way that cannot work.
    Misconfigured => "misconfigured", "The service is misconfigured", NotSent, Never, Ourselves;
}

/// A layer's own no: why, how long to wait, and a detail for the person who reads it.
///
/// ```
/// use std::time::Duration;
/// use tollgate_core::{Effect, Rejection, RejectionKind};
///
/// let no = Rejection::new(RejectionKind::CircuitOpen).after(Duration::from_secs(30));
/// assert_eq!(no.verdict().effect, Effect::NotSent);
/// assert_eq!(no.to_string(), "circuit-open: The payment gateway is not being called at the moment (retry after 30s)");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    kind: RejectionKind,
    retry_after: Option<Duration>,
    detail: Cow<'static, str>,
}

impl Rejection {
    /// A rejection without waiting time or detail.
    #[must_use]
    pub const fn new(kind: RejectionKind) -> Self {
        Self {
            kind,
            retry_after: None,
            detail: Cow::Borrowed(""),
        }
    }

    /// Sets how long to wait before trying again (default: not said).
    #[must_use]
    pub const fn after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Sets a detail for the person who reads it (default: none). It reaches callers, so it must not hold
    /// secrets or keys; card data in it is masked.
    #[must_use]
    pub fn because(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = masked(detail.into());
        self
    }

    /// Why.
    #[must_use]
    pub const fn kind(&self) -> RejectionKind {
        self.kind
    }

    /// How long to wait, if that is known.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The detail, empty if there is none.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// What this says about the money.
    #[must_use]
    pub const fn verdict(&self) -> Verdict {
        let mut verdict = self.kind.verdict();
        verdict.retry_after = self.retry_after;
        verdict
    }
}

impl From<RejectionKind> for Rejection {
    fn from(kind: RejectionKind) -> Self {
        Self::new(kind)
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.code(), self.kind.title())?;
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        if let Some(wait) = self.retry_after {
            write!(f, " (retry after {})", humantime::format_duration(wait))?;
        }
        Ok(())
    }
}

impl std::error::Error for Rejection {}
