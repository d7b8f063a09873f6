//! What the tests of the rules, of the engine and of the layer share.

mod engine;
mod layer;
mod rules;

use super::rules::Later;
use super::*;
use std::sync::Arc;
use std::time::Duration;
use tollgate_core::store::memory::MemoryVelocity;
use tollgate_core::{ManualClock, Secrets, Timestamp};

async fn screen(rule: impl Rule, facts: Facts) -> Screening {
    Engine::builder().rule(rule).build().unwrap().screen(facts).await
}

fn says(name: &'static str, decision: Decision, score: u32) -> impl Rule {
    rule_fn(name, move |_: &Facts| Some(Finding::new(decision, score, "test")))
}

fn amount(text: &str) -> Facts {
    Facts::default().amount(text.parse().unwrap())
}

struct Asks(fn() -> Later);

impl Rule for Asks {
    fn name(&self) -> &'static str {
        "asks"
    }

    fn check(&self, _: &Facts) -> Check {
        Check::Later((self.0)())
    }
}

fn by_mailbox(facts: &Facts) -> Option<String> {
    facts.mailbox.as_ref().map(|mailbox| mailbox.as_str().to_owned())
}
