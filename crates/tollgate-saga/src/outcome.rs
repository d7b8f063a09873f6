//! How a step ended: done, refused, or not known.
//!
//! "Failed" is not one of them. A timeout after the send, a panic, an answer nobody can read: each may have moved money, and a saga
//! that takes them for "did not happen" skips an undo that was needed.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::time::Duration;
use tollgate_core::gateway::{Payment, PaymentStatus};
use tollgate_core::{Advice, Effect, Fault, PaymentError, PaymentErrorKind};

/// How an attempt of a step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Outcome<T> {
    /// It happened, and this came of it.
    Done(T),
    /// It certainly did not happen.
    Refused(Refusal),
    /// It may have happened.
    Unknown(Doubt),
}

/// Why a step certainly did not happen, and whether it may be sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    why: Why,
    kind: RefusalKind,
    retry_after: Option<Duration>,
}

/// What a refusal says beyond "not this time".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefusalKind {
    /// The peer's final word under this key: earlier attempts under the same key did not happen either.
    Final,
    /// This attempt did nothing and repeating it is useless; it says nothing about earlier attempts.
    Hopeless,
    /// This attempt did nothing and may be repeated; it says nothing about earlier attempts.
    Passing,
}

impl Refusal {
    /// The peer's final no under this key. Unwinds the saga.
    #[must_use]
    pub fn new(why: impl Into<Cow<'static, str>>) -> Self {
        Self::of(RefusalKind::Final, why)
    }

    /// Nothing was sent, or the peer turned it away at the door: it may be sent again, and is, within the step's policy.
    #[must_use]
    pub fn not_sent(why: impl Into<Cow<'static, str>>) -> Self {
        Self::of(RefusalKind::Passing, why)
    }

    fn of(kind: RefusalKind, why: impl Into<Cow<'static, str>>) -> Self {
        Self {
            why: Why::new(why),
            kind,
            retry_after: None,
        }
    }

    /// Sets how long to wait before sending again (default: what the policy says).
    #[must_use]
    pub const fn after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Why, without card data.
    #[must_use]
    pub fn why(&self) -> &str {
        self.why.as_str()
    }

    pub(crate) const fn kind(&self) -> RefusalKind {
        self.kind
    }

    pub(crate) const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

/// Why it is not known what became of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    why: Why,
    retry_after: Option<Duration>,
}

impl Doubt {
    /// It may have happened.
    #[must_use]
    pub fn new(why: impl Into<Cow<'static, str>>) -> Self {
        Self {
            why: Why::new(why),
            retry_after: None,
        }
    }

    /// Sets how long to wait before asking again (default: what the policy says).
    #[must_use]
    pub const fn after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Why, without card data.
    #[must_use]
    pub fn why(&self) -> &str {
        self.why.as_str()
    }

    pub(crate) const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

/// A short text for people, written to the journal: card data in it is masked, and it has an end.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Why(String);

impl Why {
    const LIMIT: usize = 500;

    pub(crate) fn new(text: impl Into<Cow<'static, str>>) -> Self {
        // a payment error masks what it is told, with the eyes of the redaction crate
        let mut text = PaymentError::new(PaymentErrorKind::UnknownOutcome, text)
            .message()
            .to_owned();
        if text.len() > Self::LIMIT {
            let end = (0..=Self::LIMIT).rev().find(|at| text.is_char_boundary(*at));
            text.truncate(end.unwrap_or(0));
        }
        Self(text)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<T> Outcome<T> {
    /// What an error says about the money decides; anything it does not know is [`Unknown`](Self::Unknown).
    ///
    /// ```
    /// use tollgate_core::PaymentError;
    /// use tollgate_saga::Outcome;
    ///
    /// let of = |error: PaymentError| Outcome::<()>::from_fault(&error);
    /// assert!(matches!(of(PaymentError::declined("no", "do_not_honor")), Outcome::Refused(_)));
    /// assert!(matches!(of(PaymentError::not_connected("refused")), Outcome::Refused(_)));
    /// assert!(matches!(of(PaymentError::timeout("10 s")), Outcome::Unknown(_))); // it may have been charged
    /// ```
    pub fn from_fault<E: Fault + fmt::Display>(error: &E) -> Self {
        let verdict = error.verdict();
        let kind = match (verdict.effect, verdict.advice) {
            (Effect::Declined, _) => RefusalKind::Final,
            (Effect::NotSent | Effect::TurnedAway, Advice::SameKey) => RefusalKind::Passing,
            (Effect::NotSent | Effect::TurnedAway, _) => RefusalKind::Hopeless,
            // an error that says "executed" is an effect nobody has the answer of
            (Effect::Executed | Effect::Unknown, _) => {
                let mut doubt = Doubt::new(error.to_string());
                doubt.retry_after = verdict.retry_after;
                return Self::Unknown(doubt);
            }
        };
        let mut refusal = Refusal::of(kind, error.to_string());
        refusal.retry_after = verdict.retry_after;
        Self::Refused(refusal)
    }

    /// The outcome with another value.
    pub fn map<U>(self, map: impl FnOnce(T) -> U) -> Outcome<U> {
        match self {
            Self::Done(value) => Outcome::Done(map(value)),
            Self::Refused(refusal) => Outcome::Refused(refusal),
            Self::Unknown(doubt) => Outcome::Unknown(doubt),
        }
    }
}

impl Outcome<Payment> {
    /// Done only if the payment stands where the step wanted it. `Ok(Payment)` says that the gateway carried the call out, not that the
    /// payer's money was taken: a payment that was declined is refused, one that is pending or of a status nobody knows is in doubt.
    ///
    /// ```
    /// use tollgate_core::gateway::{Payment, PaymentStatus};
    /// # use tollgate_core::id::{MerchantReference, PaymentId};
    /// use tollgate_saga::Outcome;
    ///
    /// # let payment = |status| Payment {
    /// #     id: PaymentId::new("pay_1").unwrap(), reference: MerchantReference::new("order-1").unwrap(), status,
    /// #     amount: "5.00 EUR".parse().unwrap(), captured: "0.00 EUR".parse().unwrap(),
    /// #     refunded: "0.00 EUR".parse().unwrap(), avs: None, cvv: None,
    /// # };
    /// let of = |status| Outcome::of_payment(payment(status), PaymentStatus::Authorized);
    /// assert!(matches!(of(PaymentStatus::Authorized), Outcome::Done(_)));
    /// assert!(matches!(of(PaymentStatus::Declined), Outcome::Refused(_)));
    /// assert!(matches!(of(PaymentStatus::Pending), Outcome::Unknown(_)));
    /// ```
    pub fn of_payment(payment: Payment, wanted: PaymentStatus) -> Self {
        match payment.status {
            status if status == wanted => Self::Done(payment),
            PaymentStatus::Declined | PaymentStatus::Expired => {
                Self::Refused(Refusal::new(format!("the payment is {}", payment.status)))
            }
            status => Self::Unknown(Doubt::new(format!("the payment is {status}, not {wanted}"))),
        }
    }
}

/// What a step's function may return: an [`Outcome`], or a `Result` whose error says what became of the money.
#[diagnostic::on_unimplemented(
    message = "a step cannot end with `{Self}`",
    note = "return `Result<T, E>` with an error that is `Fault + Display` (as `PaymentError`), or an `Outcome<T>`"
)]
pub trait IntoOutcome {
    /// What comes of it.
    type Output;

    /// The outcome.
    fn into_outcome(self) -> Outcome<Self::Output>;
}

impl<T> IntoOutcome for Outcome<T> {
    type Output = T;

    fn into_outcome(self) -> Self {
        self
    }
}

impl<T, E: Fault + fmt::Display> IntoOutcome for Result<T, E> {
    type Output = T;

    fn into_outcome(self) -> Outcome<T> {
        match self {
            Ok(value) => Outcome::Done(value),
            Err(error) => Outcome::from_fault(&error),
        }
    }
}

/// What a compensation is told about the step it undoes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effected<T> {
    /// It happened, and this came of it.
    Known(T),
    /// It may have happened: neither repeating nor probing said. Find out by [`forward_key`](crate::StepContext::forward_key) or by the
    /// business reference, undo it if it is there, and answer [`Undone::NothingThere`] if it is not.
    InDoubt,
}

/// What a compensation found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Undone {
    /// There was an effect, and it is undone now (or was before).
    Reverted,
    /// There was no effect to undo. What this step would have superseded is undone in its own way.
    NothingThere,
}

/// What a probe found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probed<T> {
    /// It happened, and this came of it.
    Found(T),
    /// The peer knows nothing of it. Taken for proof of absence only when nothing can be on its way any more
    /// ([`Policy::quiet`](crate::Policy::quiet)).
    NotFound,
    /// The peer is still working on it.
    Pending,
}
