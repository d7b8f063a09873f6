//! Asks the rules in their order and adds up what they say. Usable without tower.

use super::decision::{Decision, Finding, Policy, Screening, Tally, Verdict};
use super::facts::Facts;
use super::rules::{Check, Later, Rule, RuleFailure};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// Two rules with one name: their findings and counters could not be told apart (seed F3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("two fraud rules are named {0:?}: give each its own name")]
pub struct DuplicateRule(pub &'static str);

/// Screens payments. Clones share the rules. See the [module](super) for the lesson.
#[derive(Clone)]
pub struct Engine(Arc<Rules>);

struct Rules {
    rules: Vec<Entry>,
    policy: Policy,
}

struct Entry {
    rule: Box<dyn Rule>,
    shadow: bool,
}

/// Collects the rules of an [`Engine`].
pub struct EngineBuilder {
    rules: Vec<Entry>,
    policy: Policy,
}

impl Engine {
    /// Without rules yet.
    #[must_use]
    pub fn builder() -> EngineBuilder {
        EngineBuilder {
            rules: Vec::new(),
            policy: Policy {
                review_at: 50,
                block_at: None,
            },
        }
    }

    /// The rules' names, in their order.
    pub fn rules(&self) -> impl Iterator<Item = &'static str> {
        self.0.rules.iter().map(|entry| entry.rule.name())
    }

    /// Asks the rules, in their order, up to the first that blocks. An amount that is not positive is blocked before any rule is
    /// asked (seed F10).
    ///
    /// Dropping the answer asks no further rule; what a velocity rule counted so far stays counted.
    pub fn screen(&self, facts: Facts) -> Screen {
        Screen {
            rules: Arc::clone(&self.0),
            facts,
            next: 0,
            pending: None,
            tally: Tally::default(),
        }
    }
}

impl EngineBuilder {
    /// Adds a rule, asked after those before it.
    #[must_use]
    pub fn rule(mut self, rule: impl Rule) -> Self {
        self.rules.push(Entry {
            rule: Box::new(rule),
            shadow: false,
        });
        self
    }

    /// Adds a rule that is asked and told and decides nothing: to see what it would do before it does it.
    #[must_use]
    pub fn shadow(mut self, rule: impl Rule) -> Self {
        self.rules.push(Entry {
            rule: Box::new(rule),
            shadow: true,
        });
        self
    }

    /// Sets the score at which a person looks (default: 50).
    #[must_use]
    pub const fn review_at(mut self, score: u32) -> Self {
        self.policy.review_at = score;
        self
    }

    /// Sets the score at which a payment is blocked (default: none; only rules block).
    #[must_use]
    pub const fn block_at(mut self, score: u32) -> Self {
        self.policy.block_at = Some(score);
        self
    }

    /// The engine.
    ///
    /// # Errors
    /// [`DuplicateRule`] when two rules have one name.
    pub fn build(self) -> Result<Engine, DuplicateRule> {
        let mut seen = std::collections::HashSet::new();
        for entry in &self.rules {
            if !seen.insert(entry.rule.name()) {
                return Err(DuplicateRule(entry.rule.name()));
            }
        }
        Ok(Engine(Arc::new(Rules {
            rules: self.rules,
            policy: self.policy,
        })))
    }
}

/// The answer of [`Engine::screen`].
#[must_use = "futures do nothing unless polled"]
pub struct Screen {
    rules: Arc<Rules>,
    facts: Facts,
    next: usize,
    pending: Option<Later>,
    tally: Tally,
}

impl Screen {
    /// Goes on as far as it gets without waiting.
    pub(super) fn advance(&mut self) -> Option<Screening> {
        if self.next == 0 && self.facts.amount.is_some_and(|amount| !amount.is_positive()) {
            let finding = Finding::new(Decision::Block, 100, "the amount is not positive");
            self.note("amount", false, Ok(Some(finding)), Decision::Block);
            return Some(self.finish());
        }
        while self.pending.is_none() {
            let rules = Arc::clone(&self.rules);
            let Some(entry) = rules.rules.get(self.next) else {
                return Some(self.finish());
            };
            // a rule is somebody's closure: its panic must not become an approval or a crash (seed F9)
            match catch_unwind(AssertUnwindSafe(|| entry.rule.check(&self.facts))) {
                Ok(Check::Later(later)) => self.pending = Some(later),
                Ok(Check::Now(finding)) => {
                    if self.settle(Ok(finding)) {
                        return Some(self.finish());
                    }
                }
                Err(_) => {
                    if self.settle(Err("the rule panicked".into())) {
                        return Some(self.finish());
                    }
                }
            }
        }
        None
    }

    /// Takes the answer of the rule that is next. Whether the rest need not be asked.
    fn settle(&mut self, answer: Result<Option<Finding>, RuleFailure>) -> bool {
        let rules = Arc::clone(&self.rules);
        let entry = &rules.rules[self.next];
        self.next += 1;
        self.note(entry.rule.name(), entry.shadow, answer, entry.rule.on_failure())
    }

    fn note(
        &mut self,
        rule: &'static str,
        shadow: bool,
        answer: Result<Option<Finding>, RuleFailure>,
        on_failure: Decision,
    ) -> bool {
        let failed = answer.is_err();
        let finding = match answer {
            Ok(None) => return false,
            Ok(Some(finding)) => finding,
            Err(error) => {
                let error: &dyn std::error::Error = &*error;
                tracing::warn!(rule, error, "fraud rule failed");
                Finding::new(on_failure, 0, "the rule failed")
            }
        };
        let (decision, score, reason) = (finding.decision.as_str(), finding.score, finding.reason);
        tracing::info!(rule, decision, score, shadow, reason, "fraud rule fired");
        let verdict = Verdict {
            rule,
            finding,
            shadow,
            failed,
        };
        self.tally.take(verdict, self.facts.authenticated)
    }

    fn finish(&mut self) -> Screening {
        self.tally.finish(self.rules.policy)
    }
}

impl Future for Screen {
    type Output = Screening;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Screening> {
        loop {
            if let Some(pending) = &mut self.pending {
                let polled = catch_unwind(AssertUnwindSafe(|| pending.as_mut().poll(cx)));
                let answer = match polled {
                    Ok(polled) => ready!(polled),
                    Err(_) => Err("the rule panicked".into()),
                };
                self.pending = None;
                if self.settle(answer) {
                    return Poll::Ready(self.finish());
                }
            }
            if let Some(screening) = self.advance() {
                return Poll::Ready(screening);
            }
        }
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.rules()).finish()
    }
}

impl fmt::Debug for EngineBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineBuilder")
            .field("rules", &self.rules.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Screen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Screen")
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}
