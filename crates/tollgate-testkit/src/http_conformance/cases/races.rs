//! Copies at the same time.

use super::super::case::{Finding, Look, cases};
use super::super::probe::Probe;
use super::super::target::{Unusable, Variant};
use super::super::wire::{Seen, told};
use super::replay::needs;
use super::{is_mismatch, meeting, row, same, status, succeeded};
use std::collections::BTreeMap;

cases! {
    22 "in-flight", "the `slow` request, and a copy while it runs",
        "the copy gets 409 (in the stripe profile with code idempotency_key_in_use), or waits for the first one's answer; one effect", in_flight;
    23 "in-flight-retry-after", "the same", "a 409 says in Retry-After when to come back; not applicable to a server that waits, and to stripe",
        retry_after;
    24 "after-in-flight", "the `slow` request, a copy while it runs, and a copy afterwards", "the last gets the first one's answer", afterwards;
    25 "race", "copies of one request at once: 2, then 10, then as many as --parallel says",
        "one effect each time; every 2xx is the same answer, everything else is a 409", race;
    26 "race-of-bodies", "different requests under one key at once", "one of them has its effect, the others are refused", bodies;
    27 "race-of-keys", "different requests under different keys at once", "each has its effect", keys;
}

/// The `slow` request, its copy while it runs, and the effects.
async fn overlapping(probe: &Probe) -> Result<Option<(Seen, Seen, i64)>, Unusable> {
    let Some(ask) = probe.variant(Variant::Slow, &probe.key()) else {
        return Ok(None);
    };
    let before = probe.count().await?;
    let (first, copy) = meeting(probe, &ask, &ask).await;
    Ok(Some((first, copy, probe.effects_since(before).await?)))
}

async fn in_flight(probe: &Probe) -> Result<Finding, Unusable> {
    let Some((first, copy, effects)) = overlapping(probe).await? else {
        return Ok(needs(Variant::Slow));
    };
    let mut look = Look::default();
    look.saw(row(&[&first, &copy]));
    look.must(succeeded(&first), "the first did not succeed");
    if !same(&first, &copy) {
        look.must(
            status(&copy) == Some(409),
            format_args!("{} instead of 409", told(&copy)),
        );
        if let (true, Ok(copy)) = (probe.is_stripe(), &copy) {
            let code = copy.json("/error/code");
            look.must(
                code.is_some_and(|code| code == "idempotency_key_in_use"),
                "error.code is not idempotency_key_in_use",
            );
        }
    }
    Ok(look.effects(effects, 1).done())
}

async fn retry_after(probe: &Probe) -> Result<Finding, Unusable> {
    if probe.is_stripe() {
        return Ok(Finding::not_applicable(
            "Stripe's clients choose their own pauses",
        ));
    }
    let mut tries = 0;
    let copy = loop {
        let Some((first, copy, _)) = overlapping(probe).await? else {
            return Ok(needs(Variant::Slow));
        };
        tries += 1;
        // the first one's answer: the server waited, or the copy came too late to meet it
        if tries == 3 || !same(&first, &copy) {
            break copy;
        }
    };
    let mut look = Look::default();
    match copy {
        Ok(copy) if copy.status == 409 => {
            let wait = copy
                .headers
                .get("retry-after")
                .and_then(|value| value.to_str().ok());
            look.saw(format_args!("{copy}, Retry-After {}", wait.unwrap_or("missing")));
            // 0 is an invitation to hammer
            let useful = wait
                .and_then(|wait| wait.parse::<u32>().ok())
                .is_some_and(|wait| wait > 0);
            Ok(look.must(useful, "no Retry-After of a second or more").done())
        }
        other => Ok(Finding::not_applicable(format!(
            "the copy got no 409: {}",
            told(&other)
        ))),
    }
}

async fn afterwards(probe: &Probe) -> Result<Finding, Unusable> {
    let Some(ask) = probe.variant(Variant::Slow, &probe.key()) else {
        return Ok(needs(Variant::Slow));
    };
    let (mut look, before) = (Look::default(), probe.count().await?);
    let (first, copy) = meeting(probe, &ask, &ask).await;
    let last = probe.send(&ask).await;
    look.saw(row(&[&first, &copy, &last]));
    look.must(same(&first, &last), "not the first one's answer");
    Ok(look.effects(probe.effects_since(before).await?, 1).done())
}

async fn race(probe: &Probe) -> Result<Finding, Unusable> {
    let mut look = Look::default();
    let mut sizes = vec![2, 10, probe.target.parallel];
    sizes.retain(|&copies| copies <= probe.target.parallel);
    sizes.dedup();
    for copies in sizes {
        let before = probe.count().await?;
        let ask = probe.ask(&probe.key());
        let answers = probe.send_all((0..copies).map(|_| ask.clone()).collect()).await;
        let effects = probe.effects_since(before).await?;
        look.saw(format_args!(
            "{copies} copies: {}, {effects} effect(s)",
            tally(&answers)
        ));
        let successes: Vec<&Seen> = answers.iter().filter(|seen| succeeded(seen)).collect();
        look.must(
            effects == 1,
            format_args!("{effects} effects among {copies} copies"),
        );
        look.must(!successes.is_empty(), "not one of them succeeded");
        look.must(
            successes.windows(2).all(|pair| same(pair[0], pair[1])),
            "two different successes",
        );
        let others = answers.iter().filter(|seen| !succeeded(seen));
        for other in others.filter(|seen| status(seen) != Some(409)).take(1) {
            look.must(false, format_args!("{} instead of 409", told(other)));
        }
    }
    Ok(look.done())
}

async fn bodies(probe: &Probe) -> Result<Finding, Unusable> {
    let (mut look, before) = (Look::default(), probe.count().await?);
    let (key, many) = (probe.key(), probe.target.parallel.min(20));
    let answers = probe.send_all((0..many).map(|_| probe.ask(&key)).collect()).await;
    look.saw(format_args!("{many} requests: {}", tally(&answers)));
    let successes = answers.iter().filter(|seen| succeeded(seen)).count();
    look.must(successes == 1, format_args!("{successes} successes"));
    for other in answers.iter().filter(|seen| !succeeded(seen)) {
        let right = matches!(other, Ok(answer) if is_mismatch(probe, answer) || answer.status == 409);
        if !right {
            look.must(
                false,
                format_args!("{} is neither a mismatch nor a 409", told(other)),
            );
            break;
        }
    }
    Ok(look.effects(probe.effects_since(before).await?, 1).done())
}

async fn keys(probe: &Probe) -> Result<Finding, Unusable> {
    let (mut look, before) = (Look::default(), probe.count().await?);
    let many = probe.target.parallel.min(20);
    let answers = probe
        .send_all((0..many).map(|_| probe.ask(&probe.key())).collect())
        .await;
    look.saw(format_args!("{many} requests: {}", tally(&answers)));
    look.must(answers.iter().all(succeeded), "not all of them succeeded");
    Ok(look
        .effects(probe.effects_since(before).await?, i64::from(many))
        .done())
}

/// "48 × 409 in-progress, 2 × 201".
fn tally(answers: &[Seen]) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for seen in answers {
        *counts.entry(told(seen)).or_default() += 1;
    }
    let parts: Vec<String> = counts
        .iter()
        .map(|(what, times)| format!("{times} × {what}"))
        .collect();
    parts.join(", ")
}
