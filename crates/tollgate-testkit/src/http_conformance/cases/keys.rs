//! Which keys are taken, and that none is ignored.

use super::super::case::{Finding, Look, cases};
use super::super::probe::{Probe, quoted};
use super::super::target::Unusable;
use super::super::wire::{Ask, told};
use super::{refused, row, same, status, succeeded};

cases! {
    1 "missing-key", "the request without a key", "400 and no effect; in the stripe profile it may run, once", missing;
    2 "empty-key", "the header with nothing in it", "400 and no effect; in the stripe profile as without a key", empty;
    3 "malformed-key", "an open quote, a wrong escape, text behind the closing quote",
        "400 and no effect; in the stripe profile, which takes any text, refused or protected", malformed;
    4 "repeated-header", "two header lines, with one key twice and with two keys",
        "400 and no effect; in the stripe profile refused or protected", repeated;
    5 "bare-key", "a bare key with : and / in it, twice", "one effect, one answer", bare;
    6 "quoted-key", "a quoted key (RFC 9651), twice", "one effect, one answer", in_quotes;
    7 "quoted-is-bare", "one key bare and then in quotes", "one effect; not applicable to stripe, where quotes belong to the key", quoted_is_bare;
    8 "longest-keys", "two keys of 255 bytes that differ in the last, each with its own request, twice", "two effects, two answers", longest;
    9 "overlong-keys", "two keys of 300 bytes that differ in the last, each with its own request",
        "both refused, or both protected and told apart: never cut, never ignored", overlong;
}

async fn missing(probe: &Probe) -> Result<Finding, Unusable> {
    without_a_key(probe, &probe.keyless()).await
}

async fn empty(probe: &Probe) -> Result<Finding, Unusable> {
    without_a_key(probe, &probe.ask_with(&[""])).await
}

async fn without_a_key(probe: &Probe, ask: &Ask) -> Result<Finding, Unusable> {
    let (mut look, before) = (Look::default(), probe.count().await?);
    let seen = probe.send(ask).await;
    let effects = probe.effects_since(before).await?;
    look.saw(told(&seen));
    if probe.is_stripe() && succeeded(&seen) {
        return Ok(look.effects(effects, 1).done());
    }
    look.must(status(&seen) == Some(400), "not a 400");
    Ok(look.effects(effects, 0).done())
}

async fn malformed(probe: &Probe) -> Result<Finding, Unusable> {
    let mut look = Look::default();
    for (form, end) in [("\"", ""), ("\"", "\\x\""), ("\"", "\"behind")] {
        let key = format!("{form}{}{end}", probe.key());
        refused_or_protected(probe, &probe.ask_with(&[&key]), &mut look).await?;
    }
    Ok(look.done())
}

async fn repeated(probe: &Probe) -> Result<Finding, Unusable> {
    let mut look = Look::default();
    let (one, two) = (probe.key(), probe.key());
    for keys in [[one.as_str(), one.as_str()], [one.as_str(), two.as_str()]] {
        refused_or_protected(probe, &probe.ask_with(&keys), &mut look).await?;
    }
    Ok(look.done())
}

/// Refused without an effect; where the profile lets any text be a key, taking it as one is as good.
async fn refused_or_protected(probe: &Probe, ask: &Ask, look: &mut Look) -> Result<(), Unusable> {
    let before = probe.count().await?;
    let (first, again) = (probe.send(ask).await, probe.send(ask).await);
    let effects = probe.effects_since(before).await?;
    look.saw(format_args!(
        "{} with {effects} effect(s)",
        row(&[&first, &again])
    ));
    if refused(&first) && refused(&again) {
        look.must(effects == 0, "refused, and had an effect");
        look.must(
            probe.is_stripe() || status(&first) == Some(400),
            format_args!("{} instead of 400", told(&first)),
        );
        return Ok(());
    }
    look.must(probe.is_stripe(), "not refused");
    look.must(
        effects == 1 && same(&first, &again),
        "neither refused nor protected",
    );
    Ok(())
}

async fn bare(probe: &Probe) -> Result<Finding, Unusable> {
    if probe.target.quoted {
        return Ok(Finding::not_applicable(
            "--quoted-keys says that bare ones are not taken",
        ));
    }
    twice(probe, &format!("{}:a/b", probe.key())).await
}

async fn in_quotes(probe: &Probe) -> Result<Finding, Unusable> {
    twice(probe, &quoted(&probe.key())).await
}

async fn longest(probe: &Probe) -> Result<Finding, Unusable> {
    let (mut look, before) = (Look::default(), probe.count().await?);
    let stem = format!("{:x<254}", probe.key());
    for end in ['a', 'b'] {
        let ask = probe.ask(&format!("{stem}{end}"));
        let (first, again) = (probe.send(&ask).await, probe.send(&ask).await);
        look.saw(row(&[&first, &again]));
        look.must(succeeded(&first), "the key is not taken, or for another one");
        look.must(same(&first, &again), "two different answers");
    }
    Ok(look.effects(probe.effects_since(before).await?, 2).done())
}

/// The header as it is, twice: one effect, one answer.
async fn twice(probe: &Probe, header: &str) -> Result<Finding, Unusable> {
    let (mut look, before) = (Look::default(), probe.count().await?);
    let ask = probe.ask_with(&[header]);
    let (first, again) = (probe.send(&ask).await, probe.send(&ask).await);
    look.saw(row(&[&first, &again]));
    look.must(succeeded(&first), "the key is not taken");
    look.must(same(&first, &again), "two different answers");
    Ok(look.effects(probe.effects_since(before).await?, 1).done())
}

async fn quoted_is_bare(probe: &Probe) -> Result<Finding, Unusable> {
    if probe.is_stripe() {
        return Ok(Finding::not_applicable("to stripe the quotes belong to the key"));
    }
    if probe.target.quoted {
        return Ok(Finding::not_applicable(
            "--quoted-keys says that bare ones are not taken",
        ));
    }
    let (mut look, before) = (Look::default(), probe.count().await?);
    let key = probe.key();
    let bare = probe.ask(&key);
    let mut in_quotes = bare.clone();
    if let Ok(value) = quoted(&key).parse() {
        in_quotes.headers.insert(&probe.target.key_header, value);
    }
    let (first, again) = (probe.send(&bare).await, probe.send(&in_quotes).await);
    look.saw(row(&[&first, &again]));
    look.must(same(&first, &again), "two different answers");
    Ok(look.effects(probe.effects_since(before).await?, 1).done())
}

async fn overlong(probe: &Probe) -> Result<Finding, Unusable> {
    let (mut look, before) = (Look::default(), probe.count().await?);
    let stem = format!("{:x<299}", probe.key());
    let ask = |end: char| probe.ask(&format!("{stem}{end}"));
    let (one, two) = (ask('a'), ask('b'));
    let (first, second) = (probe.send(&one).await, probe.send(&two).await);
    let again = probe.send(&one).await;
    let effects = probe.effects_since(before).await?;
    look.saw(row(&[&first, &second, &again]));
    if refused(&first) {
        look.must(
            refused(&second),
            "one refused and the other not: they were taken for one key",
        );
        return Ok(look.effects(effects, 0).done());
    }
    look.must(
        succeeded(&second),
        "the second was taken for the first: keys are cut",
    );
    look.must(same(&first, &again), "not protected");
    Ok(look.effects(effects, 2).done())
}
