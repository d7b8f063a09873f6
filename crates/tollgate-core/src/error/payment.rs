//! The error itself: how it is made, what it answers, how it is printed.

use super::PaymentErrorKind;
use crate::id::PaymentId;
use crate::masked::masked;
use crate::rejection::Rejection;
use crate::verdict::{Advice, Blame, Effect, Verdict};
use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

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
pub struct PaymentError(pub(super) Box<Inner>);

#[derive(Clone)]
pub(super) struct Inner {
    pub(super) kind: PaymentErrorKind,
    pub(super) verdict: Verdict,
    pub(super) message: Cow<'static, str>,
    pub(super) code: Option<Cow<'static, str>>,
    pub(super) challenge: Option<Challenge>,
    pub(super) payment: Option<PaymentId>,
    pub(super) rejection: Option<Rejection>,
    pub(super) source: Option<Arc<dyn Error + Send + Sync>>,
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
    /// nothing about whether the money moved**; nothing in tollgate asks it. Ask [`verdict`](crate::Fault::verdict).
    #[must_use]
    pub fn retriable(&self) -> bool {
        matches!(
            self.0.kind,
            PaymentErrorKind::Network | PaymentErrorKind::Timeout | PaymentErrorKind::RateLimited
        )
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
