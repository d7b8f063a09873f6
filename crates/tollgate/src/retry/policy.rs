//! The rule as a policy for `tower::retry`.

use super::budget::RetryBudget;
use super::rule::{Attempted, Decision, RetryConfig, Stop, decide};
use crate::spread::Spread;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use tokio::time::{Instant, Sleep};
use tollgate_core::protocol::{Answers, Repeats};
use tollgate_core::{Advice, Effect};

/// The policy: one per call, made by cloning the layer's.
#[derive(Clone, Debug)]
pub struct RetryPolicy<P> {
    shared: Arc<Shared>,
    protocol: P,
    made: u16,
}

#[derive(Debug)]
struct Shared {
    config: RetryConfig,
    budget: RetryBudget,
    spread: Spread,
    repeats: AtomicU64,
    no_key: AtomicU64,
    over_budget: AtomicU64,
}

/// What a policy and its clones did since they were made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryStats {
    /// Attempts beyond the first.
    pub repeats: u64,
    /// Doubtful attempts that were not repeated because the peer would not have recognised the repeat.
    pub refused_without_key: u64,
    /// Attempts that the budget did not allow.
    pub refused_by_budget: u64,
}

impl<P> RetryPolicy<P> {
    /// These settings, and the default budget.
    pub fn new(config: RetryConfig, protocol: P) -> Self {
        Self::with_budget(config, RetryBudget::default(), protocol)
    }

    /// These settings, and a budget that may be shared with others.
    pub fn with_budget(config: RetryConfig, budget: RetryBudget, protocol: P) -> Self {
        let shared = Shared {
            config,
            budget,
            spread: Spread::default(),
            repeats: AtomicU64::new(0),
            no_key: AtomicU64::new(0),
            over_budget: AtomicU64::new(0),
        };
        Self {
            shared: Arc::new(shared),
            protocol,
            made: 0,
        }
    }

    /// What it and its clones did.
    pub fn stats(&self) -> RetryStats {
        RetryStats {
            repeats: self.shared.repeats.load(Relaxed),
            refused_without_key: self.shared.no_key.load(Relaxed),
            refused_by_budget: self.shared.over_budget.load(Relaxed),
        }
    }
}

impl<P, Req, Res, Err> tower::retry::Policy<Req, Res, Err> for RetryPolicy<P>
where
    P: Repeats<Req> + Answers<Res, Err>,
{
    type Future = Sleep;

    fn retry(&mut self, req: &mut Req, answer: &mut Result<Res, Err>) -> Option<Sleep> {
        let shared = &*self.shared;
        if self.made == 0 {
            shared.budget.deposit();
        }
        self.made = self.made.saturating_add(1);
        let verdict = self.protocol.judge(answer);
        let context = self.protocol.context(req);
        let key = context.and_then(|context| context.key.as_ref());
        if let Some(key) = key {
            if (verdict.effect, verdict.advice) == (Effect::Declined, Advice::QueryFirst) {
                key.ledger().record_already_done();
            }
            key.ledger().record(verdict.effect);
        }
        let operation = self.protocol.operation(req);
        let now = Instant::now().into_std();
        let attempted = Attempted {
            verdict,
            moves_money: operation.moves_money,
            key_taken: key.is_some_and(tollgate_core::KeyInForce::is_taken),
            made: self.made,
            remaining: context
                .and_then(|context| context.deadline)
                .map(|deadline| deadline.remaining(now)),
        };
        let wait = match decide(&shared.config, &attempted, shared.spread.next()) {
            Decision::Repeat(wait) if shared.budget.withdraw() => wait,
            Decision::Repeat(_) => {
                shared.over_budget.fetch_add(1, Relaxed);
                tracing::warn!(target: "tollgate::retry", operation = operation.name, "the retry budget is spent");
                return None;
            }
            Decision::Stop(stop) => {
                if stop == Stop::NoKeyInForce {
                    shared.no_key.fetch_add(1, Relaxed);
                    tracing::warn!(
                        target: "tollgate::retry", operation = operation.name,
                        "not repeated: it may have happened, and no downstream key is in force"
                    );
                }
                return None;
            }
        };
        tracing::info!(
            target: "tollgate::retry", operation = operation.name, attempt = self.made, effect = %verdict.effect,
            ?wait, "trying again"
        );
        shared.repeats.fetch_add(1, Relaxed);
        self.protocol.context_mut(req).attempt = self.made;
        Some(tokio::time::sleep(wait))
    }

    fn clone_request(&mut self, req: &Req) -> Option<Req> {
        self.protocol.repeat(req)
    }
}
