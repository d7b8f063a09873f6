//! Connections that break.

use super::super::case::{Finding, Look, cases};
use super::super::probe::Probe;
use super::super::target::{Unusable, Variant};
use super::super::wire::{Ask, Seen, told};
use super::replay::needs;
use super::{row, succeeded};
use std::time::Duration;
use tokio::time::sleep;

cases! {
    28 "cut-request", "a request whose connection closes in the header, at its end, in the body and before its last byte; then whole",
        "the cut ones have no effect and leave the key free: the whole one succeeds, one effect", cut_request;
    29 "cut-answer", "a whole request whose connection closes at once; then the same again until it is settled",
        "at most one effect, and the repeat gets an answer", cut_answer;
    30 "cut-while-running", "the `slow` request whose connection closes while it runs; then the same again until it is settled",
        "one effect, which the repeat is told of, or none and a refusal: never half, never two", cut_while_running;
    31 "slow-upload", "half a request that stays open, the same one whole over another connection, then the second half",
        "one effect; whoever is second gets the answer or a 409", slow_upload;
}

/// Where a request can be cut: in its header, at its header's end, in its body, before its last byte.
fn cuts(whole: &[u8], ask: &Ask) -> [usize; 4] {
    let header = whole.len() - ask.body.len();
    [header / 2, header, header + ask.body.len() / 2, whole.len() - 1]
}

async fn cut_request(probe: &Probe) -> Result<Finding, Unusable> {
    let (mut look, before) = (Look::default(), probe.count().await?);
    let ask = probe.ask(&probe.key());
    let whole = ask.to_bytes(&probe.wire.authority);
    for at in cuts(&whole, &ask) {
        drop(probe.wire.write(&whole[..at]).await?);
        let effects = probe.effects_since(before).await?;
        look.must(
            effects == 0,
            format_args!("{effects} effect(s) of a request cut at byte {at}"),
        );
    }
    let answer = probe.send_until_settled(&ask).await;
    look.saw(told(&answer));
    look.must(
        succeeded(&answer),
        "the whole one did not succeed: the key is stuck",
    );
    Ok(look.effects(probe.effects_since(before).await?, 1).done())
}

async fn cut_answer(probe: &Probe) -> Result<Finding, Unusable> {
    let (before, ask) = (probe.count().await?, probe.ask(&probe.key()));
    drop(probe.wire.write(&ask.to_bytes(&probe.wire.authority)).await?);
    after_the_cut(probe, &ask, before).await
}

async fn cut_while_running(probe: &Probe) -> Result<Finding, Unusable> {
    let Some(ask) = probe.variant(Variant::Slow, &probe.key()) else {
        return Ok(needs(Variant::Slow));
    };
    let before = probe.count().await?;
    let stream = probe.wire.write(&ask.to_bytes(&probe.wire.authority)).await?;
    sleep(Duration::from_millis(200)).await;
    drop(stream);
    after_the_cut(probe, &ask, before).await
}

/// What the repeat is told must be true.
async fn after_the_cut(probe: &Probe, ask: &Ask, before: i64) -> Result<Finding, Unusable> {
    let mut look = Look::default();
    let again = probe.send_until_settled(ask).await;
    let last = probe.send(ask).await;
    let effects = probe.effects_since(before).await?;
    look.saw(row(&[&again, &last]));
    look.must(again.is_ok() && last.is_ok(), "no answer");
    look.must(effects <= 1, format_args!("{effects} effects"));
    look.must(
        !told_of_success(&again, &last) || effects > 0,
        "told of a success that did not happen",
    );
    // nobody need know yet, but "no" is not so
    for seen in [&again, &last] {
        look.must(
            effects == 0 || !is_final_no(seen),
            format_args!("told {} although it happened", told(seen)),
        );
    }
    Ok(look.saw(format_args!("{effects} effect(s)")).done())
}

/// Whether a client may take it that nothing happened and nothing will: not "come back later", not "nobody knows", not a 5xx.
fn is_final_no(seen: &Seen) -> bool {
    const MAY_HAVE_HAPPENED: [u16; 5] = [408, 409, 410, 425, 429];
    matches!(seen, Ok(answer) if answer.is_refusal() && !MAY_HAVE_HAPPENED.contains(&answer.status))
}

fn told_of_success(again: &Seen, last: &Seen) -> bool {
    succeeded(again) || succeeded(last)
}

async fn slow_upload(probe: &Probe) -> Result<Finding, Unusable> {
    let (mut look, before) = (Look::default(), probe.count().await?);
    let ask = probe.ask(&probe.key());
    let whole = ask.to_bytes(&probe.wire.authority);
    let half = whole.len() - ask.body.len() / 2;
    let open = probe.wire.write(&whole[..half]).await?;
    sleep(Duration::from_millis(100)).await;
    let meanwhile = probe.send(&ask).await;
    let late = probe.wire.finish(open, &whole[half..]).await;
    let settled = probe.send_until_settled(&ask).await;
    look.saw(format_args!(
        "meanwhile {}, the slow one {}, afterwards {}",
        told(&meanwhile),
        late.as_ref()
            .map_or_else(ToString::to_string, ToString::to_string),
        told(&settled)
    ));
    let fine = |status: u16| (200..300).contains(&status) || status == 409;
    look.must(
        matches!(&meanwhile, Ok(answer) if fine(answer.status)),
        "the whole one was held up by the slow one",
    );
    look.must(
        matches!(late, Ok(status) if fine(status)),
        "the slow one got neither the answer nor a 409",
    );
    look.must(succeeded(&settled), "the key is stuck");
    Ok(look.effects(probe.effects_since(before).await?, 1).done())
}
