//! What becomes an error of a payment call: a layer's no, a refused name, and any error in a box.

use super::{PaymentError, PaymentErrorKind};
use crate::protocol::Fault;
use crate::rejection::{Rejection, RejectionKind};
use crate::verdict::{Advice, Blame, Effect, Verdict};
use std::error::Error;

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
