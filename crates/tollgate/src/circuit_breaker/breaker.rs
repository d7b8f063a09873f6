//! The breaker's handle: usable with and without tower.

use super::state::{BreakerConfig, Machine, Outcome, Phase, Ticket};
use crate::spread::Spread;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use tollgate_core::{Blame, Effect, Rejection, RejectionKind, Verdict};

/// One circuit breaker. Clones are handles to the same one: keep one per gateway and operation, not one for all.
///
/// ```
/// use tollgate::Verdict;
/// use tollgate::circuit_breaker::{Breaker, BreakerConfig, Phase};
///
/// let breaker = Breaker::new(BreakerConfig::default().consecutive_failures(2));
/// for _ in 0..2 {
///     breaker.admit().unwrap().settle(&Verdict::UNKNOWN);
/// }
/// assert_eq!(breaker.snapshot().phase, Phase::Open);
/// assert!(breaker.admit().unwrap_err().retry_after().is_some());
/// ```
#[derive(Clone, Debug)]
pub struct Breaker(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    machine: Mutex<Machine>,
    made: Instant,
    jitter: Spread,
    refused: AtomicU64,
    shadow: AtomicBool,
}

/// What a breaker shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// Where it stands.
    pub phase: Phase,
    /// Calls in the window.
    pub calls: u32,
    /// Failures in the window.
    pub failures: u32,
    /// Slow calls in the window.
    pub slow: u32,
    /// How many calls it refused, or would have refused in shadow mode, since it was made.
    pub refused: u64,
}

impl Breaker {
    /// A closed breaker.
    #[must_use]
    pub fn new(config: BreakerConfig) -> Self {
        Self(Arc::new(Inner {
            machine: Mutex::new(Machine::new(config)),
            made: Instant::now(),
            jitter: Spread::default(),
            refused: AtomicU64::new(0),
            shadow: AtomicBool::new(false),
        }))
    }

    fn machine(&self) -> MutexGuard<'_, Machine> {
        // the rule does not panic; were it to, a poisoned breaker must not close the shop
        self.0.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        self.0.made.elapsed()
    }

    /// Asks to make a call.
    ///
    /// # Errors
    /// [`RejectionKind::CircuitOpen`] with the time to wait.
    pub fn admit(&self) -> Result<Permit, Rejection> {
        let now = self.now();
        match self.machine().admit(now) {
            Ok(ticket) => Ok(Permit {
                breaker: self.clone(),
                ticket: Some(ticket),
                admitted: now,
            }),
            Err(wait) => {
                self.0.refused.fetch_add(1, Relaxed);
                if self.0.shadow.load(Relaxed) {
                    return Ok(Permit {
                        breaker: self.clone(),
                        ticket: None,
                        admitted: now,
                    });
                }
                Err(Rejection::new(RejectionKind::CircuitOpen).after(wait))
            }
        }
    }

    fn record(&self, ticket: Ticket, outcome: Outcome, admitted: Duration, open_for: Option<Duration>) {
        let now = self.now();
        let jitter = self.0.jitter.next();
        let (before, after) = {
            let mut machine = self.machine();
            let before = machine.phase();
            machine.record(
                ticket,
                outcome,
                now.saturating_sub(admitted),
                now,
                jitter,
                open_for,
            );
            (before, machine.phase())
        };
        if before != after {
            tracing::warn!(target: "tollgate::circuit_breaker", ?before, ?after, "the breaker moved");
        }
    }

    /// Whether calls are refused at the moment: open, and not in shadow mode.
    pub(super) fn refuses(&self) -> bool {
        self.machine().phase() == Phase::Open && !self.0.shadow.load(Relaxed)
    }

    /// What it shows at the moment.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let now = self.now();
        let machine = self.machine();
        let (calls, failures, slow) = machine.counted(now);
        Snapshot {
            phase: machine.phase(),
            calls,
            failures,
            slow,
            refused: self.0.refused.load(Relaxed),
        }
    }

    /// Opens it by hand for this long; [`Duration::MAX`] until [`reset`](Self::reset).
    pub fn force_open(&self, stay: Duration) {
        let now = self.now();
        self.machine().force_open(now, stay);
    }

    /// Closes it by hand and forgets what was counted.
    pub fn reset(&self) {
        self.machine().close();
    }

    /// Counts what would be refused but lets it pass (default: off). For trying out a configuration on live traffic.
    pub fn set_shadow(&self, on: bool) {
        self.0.shadow.store(on, Relaxed);
    }
}

/// Leave to make one call. Dropped unsettled it counts as abandoned.
#[derive(Debug)]
#[must_use = "settle it with the call's verdict"]
pub struct Permit {
    breaker: Breaker,
    ticket: Option<Ticket>,
    admitted: Duration,
}

impl Permit {
    /// Says how the call ended.
    pub fn settle(mut self, verdict: &Verdict) {
        if let Some(ticket) = self.ticket.take() {
            self.breaker
                .record(ticket, outcome_of(verdict), self.admitted, verdict.retry_after);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket.take() else { return };
        let limit = self.breaker.machine().config().abandoned_after;
        let ran = self.breaker.now().saturating_sub(self.admitted);
        let failed = ran >= limit || std::thread::panicking();
        let outcome = if failed {
            Outcome::Failure
        } else {
            Outcome::Ignored
        };
        self.breaker.record(ticket, outcome, self.admitted, None);
    }
}

fn outcome_of(verdict: &Verdict) -> Outcome {
    match (verdict.blame, verdict.effect) {
        // what never left this process says nothing about the peer: two blocked payments must not close it
        (Blame::Ourselves, _) | (_, Effect::NotSent | Effect::TurnedAway) if !verdict.is_fault() => {
            Outcome::Ignored
        }
        _ if verdict.is_fault() => Outcome::Failure,
        _ => Outcome::Success,
    }
}
