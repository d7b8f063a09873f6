//! What can go wrong, and what each says about the money unless a gateway knows better.

use crate::verdict::{Advice, Blame, Effect, Verdict};

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

            pub(super) const fn verdict(self) -> Verdict {
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
