//! A model of idempotent calls, walked through completely: every order, every crash, every lost answer, within a bound.
//!
//! # What it shows
//!
//! **One key, at most one effect; every outcome known, or known to be unknown.** The model runs the real rule
//! (`tollgate_core::store::idempotency::rule`), the real effect ledger and the real retry rule. Around them it puts what the world
//! does: two callers of one key, a clock, leases that lapse, owners that crash or freeze and come back, a store whose answers are
//! lost and whose writes come late or twice, a gateway that recognises its key or not, a resolver, a sweeper, a collector.
//!
//! # How to read it
//!
//! | file | holds |
//! |---|---|
//! | [`world`] | what there is: one record, two callers, the wire, the gateway's books |
//! | [`steps`] | what can happen next; `caller.rs` goes as the layer's `run.rs` does |
//! | [`policy`] | who decides: the real rules, in the places where a control may differ |
//! | [`setting`] | in what surroundings, and how much may go wrong |
//! | [`invariants`] | what is claimed at each step |
//! | `steps/ends.rs` | what is claimed of the future: every key ends |
//! | [`sights`] | what must be possible, so that the claims are not kept by a world in which nothing happens |
//! | [`controls`] | policies that are wrong on purpose, each with its counterexample |
//! | [`limits`] | assumptions that are dropped on purpose, each with its counterexample |
//! | [`walk`] | `stateright` goes through it, breadth first, so that a counterexample is a shortest one |
//!
//! The walking is `stateright`'s. Two things are not as its readers may expect:
//!
//! - It knows a state by a hash of 64 bits. Two worlds with one hash would be one state, and what only the second leads to would not be
//!   looked at. In walks of up to half a million states, two million in all, the odds of that are 1 in 40 million; and a walk that compared
//!   whole worlds, over an earlier form of this model, counted the same states and the same steps.
//! - Its `eventually` does not see cycles, and here everybody may stand still for ever. That every key ends is an `always`: `ends.rs` runs
//!   the rest of the story from each state.
//!
//! # Bounds
//!
//! Time has no bound: what is long past is all alike. What is bounded is how often callers try, and how many things go wrong.
//! `TOLLGATE_MODEL_MORE_FAULTS=1` and `TOLLGATE_MODEL_MORE_TRIES=1` raise that for a long run of the surroundings that the policy is
//! made for: `cargo test -p tollgate-tests --test model made_for -- --nocapture`. A walk that would stop half-way fails.
//!
//! The guide's page `guide::model` holds the numbers; a test here fails when they are no longer true.

#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod controls;
mod invariants;
mod limits;
mod policy;
mod setting;
mod sights;
mod steps;
mod walk;
mod world;

use invariants::Invariant;
use policy::{AsItIs, Policy};
use setting::{MADE_FOR, Setting};
use steps::Keys;
use tollgate_tests::{grouped, guide_says};
use walk::{Walk, walk};

/// Walks through everything the policy as it is can come to, and fails with the way to whatever breaks a claim.
fn finds_nothing(name: &str, setting: Setting, claims: &[Invariant], sights: bool) -> Walk {
    let walk = walk(Keys {
        setting,
        policy: &AsItIs,
        claims: claims.to_vec(),
        sights,
    });
    println!(
        "{name}: {} states, {} steps, up to {} deep",
        walk.states, walk.steps, walk.depth
    );
    if let Some(violation) = &walk.violation {
        panic!("{name}: {violation}");
    }
    walk
}

/// Looks for the shortest way in which a policy breaks a claim, and fails if there is none, if it is longer or shorter than it is
/// said to be, or if the policy as it is breaks the claim there too.
fn refute(name: &str, policy: &'static dyn Policy, setting: Setting, claim: Invariant, steps: usize) {
    let walk = walk(Keys {
        setting,
        policy,
        claims: vec![claim],
        sights: false,
    });
    let Some(violation) = walk.violation else {
        panic!("{name}: no counterexample in {} states", walk.states);
    };
    println!("{name}: {violation}");
    assert_eq!((violation.claim, violation.way.len()), (claim, steps), "{name}");
    guide_says(&format!("`{name}`"), &[format!("{claim:?}"), steps.to_string()]);
}

/// As [`refute`], for a policy that is wrong: in the same surroundings the real one keeps the claim.
fn refute_policy(name: &str, policy: &'static dyn Policy, setting: Setting, claim: Invariant, steps: usize) {
    refute(name, policy, setting, claim, steps);
    if MADE_FOR.iter().all(|(_, made_for)| *made_for != setting) {
        finds_nothing(name, setting, &[claim], false);
    }
}

/// The policy as it is, in surroundings that it is made for. `unseen` is what cannot happen there.
fn keeps_every_claim(name: &str, unseen: &[&str]) {
    let (_, setting) = MADE_FOR.iter().find(|(made_for, _)| *made_for == name).unwrap();
    let asked = setting.as_asked_for();
    let walk = finds_nothing(name, asked, Invariant::ALL, true);
    assert_eq!(walk.unseen, unseen, "{name}: what did not happen");
    if asked == *setting {
        guide_says(
            name,
            &[grouped(walk.states), grouped(walk.steps), walk.depth.to_string()],
        );
    }
}

mod made_for {
    //! One test for each surroundings, so that they run side by side.

    use super::keeps_every_claim;

    const OTHER_REQUEST: &str = "another request under the key";
    const TAKEN_OVER: &str = "a prepared claim taken over";
    const TOO_LATE: &str = "an owner that comes too late to arm";
    const RECOGNISED: &str = "a repeat that the gateway recognises";

    #[test]
    fn bare_armed_at_begin() {
        keeps_every_claim(
            "bare, armed at begin",
            &[OTHER_REQUEST, TAKEN_OVER, TOO_LATE, RECOGNISED],
        );
    }

    #[test]
    fn bare_armed_before_the_call() {
        keeps_every_claim("bare, armed before the call", &[OTHER_REQUEST, RECOGNISED]);
    }

    #[test]
    fn bare_two_requests() {
        keeps_every_claim("bare, two requests", &[TAKEN_OVER, TOO_LATE, RECOGNISED]);
    }

    #[test]
    fn keyed_armed_at_begin() {
        keeps_every_claim("keyed, armed at begin", &[OTHER_REQUEST, TAKEN_OVER, TOO_LATE]);
    }

    #[test]
    fn keyed_armed_before_the_call() {
        keeps_every_claim("keyed, armed before the call", &[OTHER_REQUEST]);
    }

    #[test]
    fn forgetful_armed_at_begin() {
        keeps_every_claim(
            "forgetful, armed at begin",
            &[OTHER_REQUEST, TAKEN_OVER, TOO_LATE],
        );
    }
}
