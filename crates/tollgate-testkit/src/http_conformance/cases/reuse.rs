//! One key for two requests.

use super::super::case::{Finding, Look, cases};
use super::super::probe::Probe;
use super::super::target::{Unusable, Variant};
use super::super::wire::{Ask, told};
use super::replay::needs;
use super::{is_mismatch, meeting, mismatch_words, row, succeeded};

cases! {
    18 "other-body", "another body under a used key", "422, in the stripe profile 400 of type idempotency_error; no effect, no replay", other_body;
    19 "other-query", "the same body with another query under a used key", "refused; no effect, no replay", other_query;
    20 "other-body-in-flight", "the `slow` request, and another body under its key while it runs",
        "refused as in other-body: not told to come back later", in_flight;
    21 "original-after-other-body", "a request, another body under its key, the first request again", "the first one's answer", original;
}

async fn other_body(probe: &Probe) -> Result<Finding, Unusable> {
    let key = probe.key();
    refused_as_mismatch(probe, &probe.ask(&key), &probe.ask(&key), true).await
}

async fn other_query(probe: &Probe) -> Result<Finding, Unusable> {
    let one = probe.ask(&probe.key());
    let mut two = one.clone();
    two.path.push_str(if two.path.contains('?') {
        "&other=1"
    } else {
        "?other=1"
    });
    refused_as_mismatch(probe, &one, &two, false).await
}

/// `exactly`: in the profile's own words, where the draft and Stripe say which.
async fn refused_as_mismatch(
    probe: &Probe,
    one: &Ask,
    two: &Ask,
    exactly: bool,
) -> Result<Finding, Unusable> {
    let (mut look, before) = (Look::default(), probe.count().await?);
    let (first, second) = (probe.send(one).await, probe.send(two).await);
    look.saw(row(&[&first, &second]));
    look.must(succeeded(&first), "the first did not succeed");
    match &second {
        Ok(answer) if answer.is_success() => {
            look.must(false, "answered as if it were the first request, or carried out");
        }
        Ok(answer) if exactly => {
            look.must(
                is_mismatch(probe, answer),
                format_args!("{answer} instead of {}", mismatch_words(probe)),
            );
        }
        other => {
            look.must(super::refused(other), "not refused");
        }
    }
    Ok(look.effects(probe.effects_since(before).await?, 1).done())
}

async fn in_flight(probe: &Probe) -> Result<Finding, Unusable> {
    let key = probe.key();
    let (Some(one), Some(two)) = (
        probe.variant(Variant::Slow, &key),
        probe.variant(Variant::Slow, &key),
    ) else {
        return Ok(needs(Variant::Slow));
    };
    let (mut look, before) = (Look::default(), probe.count().await?);
    let (first, second) = meeting(probe, &one, &two).await;
    look.saw(row(&[&first, &second]));
    look.must(succeeded(&first), "the first did not succeed");
    look.must(
        matches!(&second, Ok(answer) if is_mismatch(probe, answer)),
        format_args!("{} instead of {}", told(&second), mismatch_words(probe)),
    );
    Ok(look.effects(probe.effects_since(before).await?, 1).done())
}

async fn original(probe: &Probe) -> Result<Finding, Unusable> {
    let (key, mut look, before) = (probe.key(), Look::default(), probe.count().await?);
    let one = probe.ask(&key);
    let first = probe.send(&one).await;
    let other = probe.send(&probe.ask(&key)).await;
    let again = probe.send(&one).await;
    look.saw(row(&[&first, &other, &again]));
    look.must(super::same(&first, &again), "not the first one's answer");
    Ok(look.effects(probe.effects_since(before).await?, 1).done())
}
