//! What became of the money, what may be done now, and whose fault it was.
//!
//! A [`Verdict`] is what a classifier makes of a `&Result<Response, Error>`. Whatever a classifier does not
//! list is [`Verdict::UNKNOWN`]: fail closed.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// What became of the money in one attempt.
///
/// "The peer did nothing" is two values, because only one of them says that the peer was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Nothing left this process.
    NotSent,
    /// The peer stopped it at the door and remembers nothing: 429, or 503 with that promise.
    TurnedAway,
    /// The peer decided: no. A final answer under this key.
    Declined,
    /// It happened.
    Executed,
    /// It may have happened.
    Unknown,
}

impl Effect {
    /// Whether this answer stands for good under its key.
    ///
    /// ```
    /// use tollgate_core::Effect;
    /// assert!(Effect::Declined.is_final() && Effect::Executed.is_final());
    /// assert!(!Effect::Unknown.is_final());
    /// ```
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Declined | Self::Executed)
    }

    /// Whether it is certain that no money moved and nobody remembers the attempt.
    #[must_use]
    pub const fn nothing_happened(self) -> bool {
        matches!(self, Self::NotSent | Self::TurnedAway)
    }

    /// The stable lower-case name used in logs, metrics and audit entries.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotSent => "not_sent",
            Self::TurnedAway => "turned_away",
            Self::Declined => "declined",
            Self::Executed => "executed",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the caller may do next. How long to wait first stands in [`Verdict::retry_after`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Advice {
    /// Send the same request again under the same key.
    SameKey,
    /// Make a new attempt later, under a new key.
    NewAttempt,
    /// Mend the request, then make a new attempt.
    CorrectInput,
    /// Let the payer authenticate (3-D Secure, SCA), then go on.
    Authenticate,
    /// Ask the payer for another card or account.
    OtherInstrument,
    /// Look up what happened before doing anything else.
    QueryFirst,
    /// Do not try this again.
    Never,
}

impl Advice {
    /// The stable lower-case name used in logs, metrics and audit entries.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SameKey => "same_key",
            Self::NewAttempt => "new_attempt",
            Self::CorrectInput => "correct_input",
            Self::Authenticate => "authenticate",
            Self::OtherInstrument => "other_instrument",
            Self::QueryFirst => "query_first",
            Self::Never => "never",
        }
    }
}

/// Whose fault it was. Circuit breakers and error budgets ask this and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Blame {
    /// The caller: malformed, unauthenticated, too fast.
    Caller,
    /// The card issuer or the payer's bank said no.
    Issuer,
    /// Something between us and the gateway.
    Network,
    /// The gateway itself.
    Gateway,
    /// This process: a layer refused, a store failed.
    Ourselves,
}

impl Blame {
    /// The stable lower-case name used in logs, metrics and audit entries.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Issuer => "issuer",
            Self::Network => "network",
            Self::Gateway => "gateway",
            Self::Ourselves => "ourselves",
        }
    }
}

/// The answers to the three questions, and how long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Verdict {
    /// What became of the money.
    pub effect: Effect,
    /// What may be done now.
    pub advice: Advice,
    /// Whose fault it was.
    pub blame: Blame,
    /// How long to wait first, when the peer or a layer said so.
    pub retry_after: Option<Duration>,
}

impl Verdict {
    /// It happened; there is nothing left to do.
    pub const EXECUTED: Self = Self::new(Effect::Executed, Advice::Never, Blame::Caller);
    /// The issuer said no; another instrument may be accepted.
    pub const DECLINED: Self = Self::new(Effect::Declined, Advice::OtherInstrument, Blame::Issuer);
    /// It may have happened. What a classifier answers for anything it does not know.
    pub const UNKNOWN: Self = Self::new(Effect::Unknown, Advice::QueryFirst, Blame::Gateway);

    /// A verdict without a waiting time.
    #[must_use]
    pub const fn new(effect: Effect, advice: Advice, blame: Blame) -> Self {
        Self {
            effect,
            advice,
            blame,
            retry_after: None,
        }
    }

    /// Sets how long to wait first (default: not said).
    #[must_use]
    pub const fn after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Whether it counts against the peer. A decline is an answer, never a fault, and our own refusals are not
    /// the peer's fault either.
    ///
    /// ```
    /// use tollgate_core::Verdict;
    /// assert!(!Verdict::DECLINED.is_fault()); // five declined cards never open a breaker
    /// assert!(Verdict::UNKNOWN.is_fault());
    /// ```
    #[must_use]
    pub const fn is_fault(&self) -> bool {
        matches!(self.blame, Blame::Network | Blame::Gateway)
            && !matches!(self.effect, Effect::Executed | Effect::Declined)
    }
}
