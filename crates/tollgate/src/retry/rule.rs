//! The rule itself, pure.

use crate::setters::setters;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tollgate_core::{Advice, Effect, Verdict};

/// How often and how patiently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RetryConfig {
    /// How many attempts in all, the first included (default: 3).
    pub max_attempts: u16,
    /// The first wait's upper end (default: 500 ms); it doubles with each attempt.
    pub base: Duration,
    /// No wait of our own is longer (default: 5 s).
    pub cap: Duration,
    /// A peer's `Retry-After` up to this is waited for; above it the answer is passed on (default: 10 s).
    pub retry_after_cap: Duration,
    /// No attempt starts when less than this is left of the call's deadline (default: 100 ms).
    pub min_attempt: Duration,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            base: Duration::from_millis(500),
            cap: Duration::from_secs(5),
            retry_after_cap: Duration::from_secs(10),
            min_attempt: Duration::from_millis(100),
        }
    }
}

setters! {
    RetryConfig {
        /// Sets how many attempts in all (default: 3).
        max_attempts: u16;
        /// Sets the first wait's upper end (default: 500 ms).
        base: Duration;
        /// Sets the longest wait (default: 5 s).
        cap: Duration;
        /// Sets up to which `Retry-After` it waits (default: 10 s).
        retry_after_cap: Duration;
        /// Sets how much time an attempt needs (default: 100 ms).
        min_attempt: Duration;
    }
}

/// What is known after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempted {
    /// What became of it.
    pub verdict: Verdict,
    /// Whether the operation can move money.
    pub moves_money: bool,
    /// Whether every attempt carries one downstream key.
    pub key_taken: bool,
    /// How many attempts were made.
    pub made: u16,
    /// What is left of the call's deadline.
    pub remaining: Option<Duration>,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Try again after this long.
    Repeat(Duration),
    /// Pass the answer on.
    Stop(Stop),
}

/// Why the answer is passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It is final, or its advice is not to repeat.
    Final,
    /// It may have happened, and the peer would not recognise a repeat.
    NoKeyInForce,
    /// All attempts are spent.
    AttemptsSpent,
    /// The peer wants more patience than the settings allow.
    WaitTooLong,
    /// The deadline comes first.
    DeadlineTooClose,
}

/// Decides. `random` is any number; it spreads the waits.
#[must_use]
pub fn decide(config: &RetryConfig, attempted: &Attempted, random: u64) -> Decision {
    let Attempted {
        verdict,
        moves_money,
        key_taken,
        made,
        remaining,
    } = *attempted;
    match verdict.effect {
        Effect::Executed | Effect::Declined => return Decision::Stop(Stop::Final),
        Effect::NotSent | Effect::TurnedAway if verdict.advice != Advice::SameKey => {
            return Decision::Stop(Stop::Final);
        }
        Effect::Unknown if moves_money && !key_taken => return Decision::Stop(Stop::NoKeyInForce),
        Effect::Unknown if verdict.advice == Advice::Never => return Decision::Stop(Stop::Final),
        _ => {}
    }
    if made >= config.max_attempts {
        return Decision::Stop(Stop::AttemptsSpent);
    }
    let wait = match verdict.retry_after {
        Some(said) if said > config.retry_after_cap => return Decision::Stop(Stop::WaitTooLong),
        // never sooner than the peer said, and not all at the same moment
        Some(said) => said.saturating_add(fraction(config.base / 4, random)),
        None => {
            let doubled = config.base.saturating_mul(1 << made.saturating_sub(1).min(20));
            fraction(doubled.min(config.cap), random)
        }
    };
    match remaining {
        Some(left) if wait.saturating_add(config.min_attempt) > left => {
            Decision::Stop(Stop::DeadlineTooClose)
        }
        _ => Decision::Repeat(wait),
    }
}

/// Somewhere between nothing and `whole`.
fn fraction(whole: Duration, random: u64) -> Duration {
    let micros = u64::try_from(whole.as_micros()).unwrap_or(u64::MAX);
    Duration::from_micros(random % micros.saturating_add(1).max(1))
}
