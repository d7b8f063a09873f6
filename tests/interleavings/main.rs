//! The layer in every order: callers of one key, over a store and a gateway that stand still until they are let on.
//!
//! # What it shows
//!
//! Where the model (`tests/model`) walks the rule, this plays the layer itself: its futures, its spawned tasks, its waiters, its guard
//! against hang-ups. Every operation of the store and every step of the gateway is a gate; a *play* opens the gates in one order, lets
//! callers hang up, steps fail, service calls panic and the lease lapse in between, and is judged at its end: one charge at most,
//! everybody told the same, a hang-up alone leaves no doubt, and whatever is in doubt is listed and can be ended. Then the next order
//! is played, until there is no other.
//!
//! | file | holds |
//! |---|---|
//! | [`gates`] | the gates, and the in-memory store behind them |
//! | [`gateway`] | a gateway that counts what it books, and recognises nothing |
//! | [`schedule`] | every row of choices, once |
//! | [`play`] | one play, and its judgement |
//! | [`slow_claim`] | one order of its own: a claim that takes most of its lease to be heard of |
//!
//! # Why not loom or shuttle
//!
//! `loom` sees only locks and atomics of its own, and the layer waits on tokio's timers and tasks. What two calls share is the store,
//! and each of the in-memory store's operations on a key is one lock, held from its reading to its writing: `tests/locks` lets `loom` play
//! that lock in every order, and so an operation may be one gate here. (`sweep`, `collect` and `unresolved` go from shard to shard, and
//! promise nothing over keys.) The layer's own locks guard a list of what runs and a set of what is being looked into; each is held for one
//! entry, and no call waits for another by them.
//!
//! `shuttle` has a stand-in for tokio, but none for its time: there a `sleep` is over when it is polled, while `Instant` goes by the real
//! clock. A renewal would be due at each poll, and whether a waiter still has patience would be the machine's to say; here leases lapse and
//! waiters look again when a play says so. And it samples orders, where a few thousand plays are all of them.

#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod gates;
mod gateway;
mod play;
mod schedule;
mod slow_claim;

use gates::Flaw;
use play::{Plan, play};
use schedule::every;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tollgate::idempotency::ArmPolicy::{AtBegin, BeforeCall};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
}

/// Plays a plan in every order, of which there are more than `at_least`.
fn every_order(name: &str, plan: Plan, at_least: usize) {
    let runtime = runtime();
    let plays = every(|choices| runtime.block_on(play(plan, choices)));
    println!("{name}: {plays} plays");
    assert!(plays > at_least, "{name}: {plays} plays are not all");
}

/// Plays until a play fails, and fails itself if none does.
fn some_order_fails(plan: Plan, with: &str) {
    let runtime = runtime();
    let mut plays = 0;
    let played = catch_unwind(AssertUnwindSafe(|| {
        every(|choices| {
            plays += 1;
            runtime.block_on(play(plan, choices));
        })
    }));
    let failure = played.expect_err("no order shows the flaw");
    let said = failure.downcast_ref::<String>().unwrap();
    println!("after {plays} plays: {said}");
    assert!(said.contains(with), "{said}");
}

/// Two callers of one key; nothing goes wrong.
const TWO: Plan = Plan {
    callers: 2,
    arm: AtBegin,
    looks: 0,
    hang_ups: 0,
    faults: 0,
    lapses: false,
    flaw: None,
};

macro_rules! orders {
    ($($test:ident, more than $least:literal: $plan:expr;)+) => {$(
        #[test]
        fn $test() {
            every_order(stringify!($test), $plan, $least);
        }
    )+};
}

orders! {
    both_hang_up, more than 1_000: Plan { hang_ups: 2, ..TWO };
    both_hang_up_armed_late, more than 1_000: Plan { hang_ups: 2, arm: BeforeCall, ..TWO };
    one_waits_and_one_hangs_up, more than 2_000: Plan { looks: 1, hang_ups: 1, ..TWO };
    a_fault_a_lapse_a_hang_up, more than 20_000: Plan { faults: 1, lapses: true, hang_ups: 1, ..TWO };
    a_fault_a_lapse_armed_late, more than 2_000: Plan { faults: 1, lapses: true, arm: BeforeCall, ..TWO };
    two_faults, more than 1_000: Plan { faults: 2, ..TWO };
    three_callers_one_hangs_up, more than 2_000: Plan { callers: 3, hang_ups: 1, ..TWO };
}

/// A store that does not claim atomically (axum-idempotent, Lemmy): some order lets both callers through.
#[test]
fn control_a_store_that_checks_and_then_acts() {
    let flaw = Some(Flaw::ChecksThenActs);
    some_order_fails(Plan { flaw, ..TWO }, "two charges");
}

/// A time-out that clears the key: the repeat charges again.
#[test]
fn control_a_store_that_clears_on_timeout() {
    let flaw = Some(Flaw::ClearsOnTimeout);
    some_order_fails(
        Plan {
            faults: 1,
            flaw,
            ..TWO
        },
        "two charges",
    );
}
