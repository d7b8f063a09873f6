//! What rules say, and what follows from all of them. Pure.

use std::fmt;

/// What is to be done with a payment, least severe first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Decision {
    /// Let it through.
    #[default]
    Approve,
    /// A person looks at it first.
    Review,
    /// The payer authenticates first (3-D Secure, SCA).
    Challenge,
    /// Stop it.
    Block,
}

impl Decision {
    /// The stable lower-case name used in logs, metrics and audit entries.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Review => "review",
            Self::Challenge => "challenge",
            Self::Block => "block",
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What happens to a payment that a person should look at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnReview {
    /// It is not sent: the caller gets `review-required`.
    #[default]
    Hold,
    /// It is sent all the same. Use it for authorizations only, and hold the capture: a sale has taken the money before anybody
    /// looked.
    LetThrough,
}

/// What one rule found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What the rule asks for.
    pub decision: Decision,
    /// How much it adds to the score.
    pub score: u32,
    /// Why, for the people who review payments. It goes to logs: no addresses, keys or card data.
    pub reason: &'static str,
}

impl Finding {
    /// A finding.
    #[must_use]
    pub const fn new(decision: Decision, score: u32, reason: &'static str) -> Self {
        Self {
            decision,
            score,
            reason,
        }
    }
}

/// A finding, and the rule that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The rule's name.
    pub rule: &'static str,
    /// What it found.
    pub finding: Finding,
    /// The rule runs in shadow: its finding is told and decides nothing.
    pub shadow: bool,
    /// The rule failed; the finding is what its policy asks for then.
    pub failed: bool,
}

/// What the engine says about one payment: the decision, and everything that led to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Screening {
    decision: Decision,
    score: u32,
    verdicts: Vec<Verdict>,
    review_waits: bool,
}

impl Screening {
    /// What is to be done.
    #[must_use]
    pub const fn decision(&self) -> Decision {
        self.decision
    }

    /// The sum of the scores of all rules that count.
    #[must_use]
    pub const fn score(&self) -> u32 {
        self.score
    }

    /// Every finding, in the order of the rules. Rules behind the one that blocked were not asked.
    #[must_use]
    pub fn verdicts(&self) -> &[Verdict] {
        &self.verdicts
    }

    /// The first rule that blocked.
    #[must_use]
    pub fn blocked_by(&self) -> Option<&'static str> {
        self.verdicts
            .iter()
            .find(|verdict| !verdict.shadow && verdict.finding.decision == Decision::Block)
            .map(|verdict| verdict.rule)
    }

    /// Whether a review is still due once the payer has passed the challenge. Screen again with
    /// [`Facts::authenticated`](super::Facts::authenticated) then: the challenge is met, the review is not.
    #[must_use]
    pub const fn review_waits(&self) -> bool {
        self.review_waits
    }
}

/// How findings become a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Policy {
    pub(super) review_at: u32,
    pub(super) block_at: Option<u32>,
}

/// The sum of what was found so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    worst: Decision,
    score: u32,
    review: bool,
    verdicts: Vec<Verdict>,
}

impl Tally {
    /// Takes one verdict in. Whether the remaining rules need not be asked.
    pub(super) fn take(&mut self, verdict: Verdict, authenticated: bool) -> bool {
        if !verdict.shadow {
            self.score = self.score.saturating_add(verdict.finding.score);
            let asked = match verdict.finding.decision {
                Decision::Challenge if authenticated => Decision::Approve,
                other => other,
            };
            self.worst = self.worst.max(asked);
            self.review |= asked == Decision::Review;
        }
        self.verdicts.push(verdict);
        self.worst == Decision::Block
    }

    pub(super) fn finish(&mut self, policy: Policy) -> Screening {
        let (score, mut review) = (self.score, self.review);
        review |= score >= policy.review_at;
        let mut decision = self.worst;
        if review {
            decision = decision.max(Decision::Review);
        }
        if policy.block_at.is_some_and(|at| score >= at) {
            decision = Decision::Block;
        }
        Screening {
            decision,
            score,
            verdicts: std::mem::take(&mut self.verdicts),
            review_waits: review && decision == Decision::Challenge,
        }
    }
}
