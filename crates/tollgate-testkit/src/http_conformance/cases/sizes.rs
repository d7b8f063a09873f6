//! Bodies that are too large, or have no length.

use super::super::case::{Finding, Look, cases};
use super::super::probe::Probe;
use super::super::target::{Unusable, Variant};
use super::super::wire::{Ask, told};
use super::replay::needs;
use super::{refused, row, same, status, succeeded};
use bytes::Bytes;

cases! {
    32 "oversized-request", "a body filled up with blanks to --oversize bytes; then the plain one under the same key",
        "refused (413) without an effect and without using up the key; or taken, and protected", oversized;
    33 "large-answer", "the `large` request twice", "one effect; the repeat gets the same bytes or a refusal, never a part of them", large;
    34 "streamed-answer", "the `streamed` request twice", "one effect; the repeat gets the same bytes or a refusal, never a part of them", streamed;
}

async fn oversized(probe: &Probe) -> Result<Finding, Unusable> {
    let (mut look, before) = (Look::default(), probe.count().await?);
    let plain = probe.ask(&probe.key());
    let mut body = plain.body.to_vec();
    body.resize(probe.target.oversize.max(body.len()), b' ');
    let filled = Ask {
        body: Bytes::from(body),
        ..plain.clone()
    };
    let large = probe.send(&filled).await;
    if succeeded(&large) {
        let again = probe.send(&filled).await;
        look.saw(row(&[&large, &again]));
        look.must(same(&large, &again), "taken, and not protected");
        return Ok(look.effects(probe.effects_since(before).await?, 1).done());
    }
    let early = probe.effects_since(before).await?;
    let plain = probe.send(&plain).await;
    look.saw(row(&[&large, &plain]));
    look.must(early == 0, "refused, and had an effect");
    // a server that closes while the body is still coming has refused it, too: the client may not get to see its 413
    look.must(
        large.is_err() || status(&large) == Some(413),
        format_args!("{} instead of 413", told(&large)),
    );
    look.must(succeeded(&plain), "the refused request used up the key");
    Ok(look.effects(probe.effects_since(before).await?, 1).done())
}

async fn large(probe: &Probe) -> Result<Finding, Unusable> {
    whole_or_refused(probe, Variant::Large).await
}

async fn streamed(probe: &Probe) -> Result<Finding, Unusable> {
    whole_or_refused(probe, Variant::Streamed).await
}

async fn whole_or_refused(probe: &Probe, variant: Variant) -> Result<Finding, Unusable> {
    let Some(ask) = probe.variant(variant, &probe.key()) else {
        return Ok(needs(variant));
    };
    let (mut look, before) = (Look::default(), probe.count().await?);
    let (first, again) = (probe.send(&ask).await, probe.send(&ask).await);
    look.saw(row(&[&first, &again]));
    look.must(succeeded(&first), "the first did not succeed");
    if let Ok(first) = &first {
        look.saw(format_args!("{} bytes", first.body.len()));
    }
    look.must(
        same(&first, &again) || refused(&again),
        "the repeat got something else than the same bytes or a refusal",
    );
    Ok(look.effects(probe.effects_since(before).await?, 1).done())
}
