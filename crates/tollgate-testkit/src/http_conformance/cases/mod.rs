//! The cases, by what they look at.

mod broken;
mod keys;
mod memory;
mod races;
mod replay;
mod reuse;
mod sizes;

use super::case::Case;
use super::probe::Probe;
use super::wire::{Answer, Ask, Seen, told};
use std::time::Duration;
use tokio::time::sleep;

/// Every case, in the order of their numbers.
pub(super) fn all() -> impl Iterator<Item = &'static Case> {
    [
        keys::CASES,
        replay::CASES,
        reuse::CASES,
        races::CASES,
        broken::CASES,
        sizes::CASES,
        memory::CASES,
    ]
    .into_iter()
    .flatten()
}

fn succeeded(seen: &Seen) -> bool {
    matches!(seen, Ok(answer) if answer.is_success())
}

fn refused(seen: &Seen) -> bool {
    matches!(seen, Ok(answer) if answer.is_refusal())
}

fn status(seen: &Seen) -> Option<u16> {
    seen.as_ref().ok().map(|answer| answer.status)
}

/// Whether `repeat` is the answer `first` once more.
fn same(first: &Seen, repeat: &Seen) -> bool {
    match (first, repeat) {
        (Ok(first), Ok(repeat)) => first.status == repeat.status && first.body == repeat.body,
        _ => false,
    }
}

/// Sends `one`, and `two` while it runs. On a busy machine they may change places on their way: the one that succeeded comes first.
async fn meeting(probe: &Probe, one: &Ask, two: &Ask) -> (Seen, Seen) {
    let later = async {
        sleep(Duration::from_millis(150)).await;
        probe.send(two).await
    };
    let (first, second) = tokio::join!(probe.send(one), later);
    if succeeded(&second) && !succeeded(&first) {
        (second, first)
    } else {
        (first, second)
    }
}

/// "A repeat in 409s, then …": how a row of answers is told.
fn row(answers: &[&Seen]) -> String {
    let told: Vec<String> = answers.iter().map(|seen| told(seen)).collect();
    told.join(", ")
}

/// What the profile calls another request under a used key.
fn is_mismatch(probe: &Probe, answer: &Answer) -> bool {
    match probe.is_stripe() {
        true => super::probe::says_idempotency_error(answer),
        false => answer.status == 422,
    }
}

fn mismatch_words(probe: &Probe) -> &'static str {
    match probe.is_stripe() {
        true => "a 400 of type idempotency_error",
        false => "a 422",
    }
}
