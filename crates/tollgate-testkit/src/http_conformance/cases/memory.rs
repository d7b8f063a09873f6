//! Whose keys are whose, and how long they are known.

use super::super::case::{Finding, Look, cases};
use super::super::probe::Probe;
use super::super::target::Unusable;
use super::super::wire::told;
use super::{refused, row, same, status, succeeded};
use http::Method;

cases! {
    35 "reads-pass", "GET and HEAD of the endpoint, without a key and under a used one", "the same status both times, and no replay", reads;
    36 "other-caller", "one request under one key as two tenants (--other-caller)", "two effects: tenants do not share keys", other_caller;
    37 "refreshed-token", "a request, and its repeat with a fresh credential of the same tenant (--same-caller)",
        "one effect, one answer: keys do not hang on the token", refreshed;
    38 "restart", "a request, --restart, its repeat", "one effect, one answer: keys survive the process", restart;
    39 "expired", "a request, --expire, its repeat", "refused without an effect: a spent key is not a new one", expired;
    40 "store-outage", "a request while the store is away (--store-down), and again when it is back (--store-up)",
        "5xx without an effect, then success: what cannot be guarded does not run", outage;
}

async fn reads(probe: &Probe) -> Result<Finding, Unusable> {
    let (mut look, before) = (Look::default(), probe.count().await?);
    let ask = probe.ask(&probe.key());
    let first = probe.send(&ask).await;
    look.must(succeeded(&first), "the request did not succeed");
    for method in [Method::GET, Method::HEAD] {
        let mut with = ask.clone();
        with.method = method.clone();
        with.body = bytes::Bytes::new();
        let mut without = with.clone();
        without.headers.remove(&probe.target.key_header);
        let (with, without) = (probe.send(&with).await, probe.send(&without).await);
        look.saw(format_args!(
            "{method}: {} with a key, {} without",
            told(&with),
            told(&without)
        ));
        look.must(
            status(&with) == status(&without),
            format_args!("{method} is treated otherwise under a key"),
        );
        let replayed = matches!(&with, Ok(answer) if answer.is_marked())
            || (method == Method::GET && same(&first, &with));
        look.must(!replayed, format_args!("{method} got the stored answer"));
    }
    Ok(look.effects(probe.effects_since(before).await?, 1).done())
}

async fn other_caller(probe: &Probe) -> Result<Finding, Unusable> {
    let Some(header) = &probe.target.other_caller else {
        return Ok(Finding::not_applicable(
            "no other tenant is known: see --other-caller",
        ));
    };
    let (mut look, before) = (Look::default(), probe.count().await?);
    let ask = probe.ask(&probe.key());
    let first = probe.send(&ask).await;
    let other = probe.send(&ask.clone().with(header)).await;
    look.saw(row(&[&first, &other]));
    look.must(succeeded(&other), "the other tenant did not succeed");
    look.must(
        !matches!(&other, Ok(answer) if answer.is_marked()),
        "the other tenant got this one's answer",
    );
    Ok(look.effects(probe.effects_since(before).await?, 2).done())
}

async fn refreshed(probe: &Probe) -> Result<Finding, Unusable> {
    let Some(header) = &probe.target.same_caller else {
        return Ok(Finding::not_applicable(
            "no other credential of the tenant is known: see --same-caller",
        ));
    };
    let (mut look, before) = (Look::default(), probe.count().await?);
    let ask = probe.ask(&probe.key());
    let (first, again) = (
        probe.send(&ask).await,
        probe.send(&ask.clone().with(header)).await,
    );
    look.saw(row(&[&first, &again]));
    look.must(same(&first, &again), "not the first one's answer");
    Ok(look.effects(probe.effects_since(before).await?, 1).done())
}

async fn restart(probe: &Probe) -> Result<Finding, Unusable> {
    let Some(command) = &probe.target.commands.restart else {
        return Ok(Finding::not_applicable(
            "no command is known that starts the server again: see --restart",
        ));
    };
    let mut look = Look::default();
    let ask = probe.ask(&probe.key());
    let first = probe.send(&ask).await;
    probe.run("--restart", command).await?;
    // counters may start again with their process: what the repeat adds is what is looked at
    let before = probe.count().await?;
    let again = probe.send(&ask).await;
    look.saw(row(&[&first, &again]));
    look.must(same(&first, &again), "not the first one's answer");
    look.effects(probe.effects_since(before).await?, 0);
    Ok(look.done())
}

async fn expired(probe: &Probe) -> Result<Finding, Unusable> {
    let Some(command) = &probe.target.commands.expire else {
        return Ok(Finding::not_applicable(
            "no command is known that ages what is stored: see --expire",
        ));
    };
    let (mut look, before) = (Look::default(), probe.count().await?);
    let ask = probe.ask(&probe.key());
    let first = probe.send(&ask).await;
    probe.run("--expire", command).await?;
    let again = probe.send(&ask).await;
    look.saw(row(&[&first, &again]));
    look.must(refused(&again), "not refused");
    Ok(look.effects(probe.effects_since(before).await?, 1).done())
}

async fn outage(probe: &Probe) -> Result<Finding, Unusable> {
    let (Some(down), Some(up)) = (&probe.target.commands.store_down, &probe.target.commands.store_up) else {
        return Ok(Finding::not_applicable(
            "no commands are known that take the store away: see --store-down and --store-up",
        ));
    };
    let (mut look, before) = (Look::default(), probe.count().await?);
    let ask = probe.ask(&probe.key());
    probe.run("--store-down", down).await?;
    let without = probe.send(&ask).await;
    let early = probe.effects_since(before).await?;
    probe.run("--store-up", up).await?;
    let with = probe.send_until_settled(&ask).await;
    look.saw(row(&[&without, &with]));
    look.must(early == 0, "unguarded, and had an effect");
    look.must(
        matches!(&without, Ok(answer) if answer.status >= 500),
        "no 5xx while the store was away",
    );
    look.must(succeeded(&with), "the key is stuck");
    Ok(look.effects(probe.effects_since(before).await?, 1).done())
}
