//! What a repeat gets.

use super::super::case::{Finding, Look, cases};
use super::super::probe::Probe;
use super::super::target::{Unusable, Variant};
use super::super::wire::{Answer, told};
use super::{row, same, status, succeeded};

cases! {
    10 "replay", "one request twice", "one effect; the same status and the same bytes", replay;
    11 "replayed-headers", "one request twice", "the repeat has the content type and, if the first had them, Location, ETag, Last-Modified, \
        Content-Language and Link, with the same values", headers;
    12 "replay-is-marked", "one request twice", "the repeat carries a marker such as Idempotent-Replayed: true, and the first does not; \
        the draft defines none, so an unmarked one is not applicable to ietf", marked;
    13 "created", "one request twice, where it is answered 201", "201 both times, with the same Location", created;
    14 "no-content", "the `empty` request twice", "204 both times, no body, one effect", no_content;
    15 "declined", "the `declined` request twice", "the same 4xx both times: a durable no is an outcome", declined;
    16 "failed-after-the-effect", "the `failing` request three times", "at most one effect: a 5xx does not free the key", failing;
    17 "new-key-runs", "two different requests under two keys", "two effects: keys do not run into each other", new_key;
}

async fn replay(probe: &Probe) -> Result<Finding, Unusable> {
    let (mut look, before) = (Look::default(), probe.count().await?);
    let ask = probe.ask(&probe.key());
    let (first, again) = (probe.send(&ask).await, probe.send(&ask).await);
    look.saw(row(&[&first, &again]));
    look.must(succeeded(&first), "the first did not succeed");
    look.must(status(&first) == status(&again), "another status");
    look.must(same(&first, &again), "other bytes");
    Ok(look.effects(probe.effects_since(before).await?, 1).done())
}

/// Two answers to one request, or why there are none.
async fn twice(probe: &Probe) -> Result<(Answer, Answer), String> {
    let ask = probe.ask(&probe.key());
    match (probe.send(&ask).await, probe.send(&ask).await) {
        (Ok(first), Ok(again)) if first.is_success() => Ok((first, again)),
        (first, again) => Err(row(&[&first, &again])),
    }
}

fn no_answers(seen: &str) -> Finding {
    let mut look = Look::default();
    look.saw(seen).must(false, "the request did not succeed").done()
}

async fn headers(probe: &Probe) -> Result<Finding, Unusable> {
    use http::header::{CONTENT_LANGUAGE, CONTENT_TYPE, ETAG, LAST_MODIFIED, LINK, LOCATION};
    let (first, again) = match twice(probe).await {
        Ok(both) => both,
        Err(seen) => return Ok(no_answers(&seen)),
    };
    let mut look = Look::default();
    for name in [
        CONTENT_TYPE,
        LOCATION,
        ETAG,
        LAST_MODIFIED,
        CONTENT_LANGUAGE,
        LINK,
    ] {
        let values = |answer: &Answer| answer.headers.get_all(&name).iter().cloned().collect::<Vec<_>>();
        let (was, is) = (values(&first), values(&again));
        if was.is_empty() {
            continue;
        }
        look.saw(format_args!(
            "{name} {}",
            if was == is { "kept" } else { "lost or changed" }
        ));
        look.must(was == is, format_args!("{name} was {was:?} and is {is:?}"));
    }
    Ok(look.done())
}

async fn marked(probe: &Probe) -> Result<Finding, Unusable> {
    let (first, again) = match twice(probe).await {
        Ok(both) => both,
        Err(seen) => return Ok(no_answers(&seen)),
    };
    if !probe.is_stripe() && !again.is_marked() && !first.is_marked() {
        return Ok(Finding::not_applicable(
            "the server marks no replays, and the draft asks for no marker",
        ));
    }
    let mut look = Look::default();
    look.saw(format_args!("{first}, {again}"));
    look.must(!first.is_marked(), "the first answer is marked as a replay");
    Ok(look.must(again.is_marked(), "the repeat is not marked").done())
}

async fn created(probe: &Probe) -> Result<Finding, Unusable> {
    let (first, again) = match twice(probe).await {
        Ok(both) => both,
        Err(seen) => return Ok(no_answers(&seen)),
    };
    if first.status != 201 {
        return Ok(Finding::not_applicable(format!(
            "the endpoint answers {}, not 201",
            first.status
        )));
    }
    let mut look = Look::default();
    let location = |answer: &Answer| answer.headers.get("location").cloned();
    look.saw(format_args!("{first}, {again}"));
    look.must(again.status == 201, "the repeat is not a 201");
    Ok(look
        .must(location(&first) == location(&again), "another Location, or none")
        .done())
}

/// For cases that need a request that not every server has.
pub(super) fn needs(variant: Variant) -> Finding {
    let name = variant.as_str();
    Finding::not_applicable(format!(
        "no request is known for it: see --body-for {name}=… and --path-for {name}=…"
    ))
}

async fn no_content(probe: &Probe) -> Result<Finding, Unusable> {
    let Some(ask) = probe.variant(Variant::Empty, &probe.key()) else {
        return Ok(needs(Variant::Empty));
    };
    let (mut look, before) = (Look::default(), probe.count().await?);
    let (first, again) = (probe.send(&ask).await, probe.send(&ask).await);
    look.saw(row(&[&first, &again]));
    for seen in [&first, &again] {
        let right = matches!(seen, Ok(answer) if answer.status == 204 && answer.body.is_empty());
        look.must(right, format_args!("{} is not an empty 204", told(seen)));
    }
    Ok(look.effects(probe.effects_since(before).await?, 1).done())
}

async fn declined(probe: &Probe) -> Result<Finding, Unusable> {
    let Some(ask) = probe.variant(Variant::Declined, &probe.key()) else {
        return Ok(needs(Variant::Declined));
    };
    let mut look = Look::default();
    let (first, again) = (probe.send(&ask).await, probe.send(&ask).await);
    look.saw(row(&[&first, &again]));
    look.must(super::refused(&first), "the first is no 4xx");
    // bodies of errors may carry a request id of their own; that it is not carried out twice shows in the marker or in the bytes
    let replayed = matches!(&again, Ok(answer) if answer.is_marked());
    look.must(status(&first) == status(&again), "another status");
    Ok(look
        .must(
            replayed || same(&first, &again),
            "another answer: the request was carried out again",
        )
        .done())
}

async fn failing(probe: &Probe) -> Result<Finding, Unusable> {
    let Some(ask) = probe.variant(Variant::Failing, &probe.key()) else {
        return Ok(needs(Variant::Failing));
    };
    let (mut look, before) = (Look::default(), probe.count().await?);
    let first = probe.send(&ask).await;
    let (second, third) = (probe.send(&ask).await, probe.send(&ask).await);
    let effects = probe.effects_since(before).await?;
    look.saw(row(&[&first, &second, &third]));
    look.must(
        matches!(&first, Ok(answer) if answer.status >= 500),
        "the first is no 5xx",
    );
    look.must(
        !succeeded(&second) || effects > 0,
        "told of a success that did not happen",
    );
    Ok(look.effects(effects, 1).done())
}

async fn new_key(probe: &Probe) -> Result<Finding, Unusable> {
    let (mut look, before) = (Look::default(), probe.count().await?);
    let one = probe.ask(&probe.key());
    let (first, second) = (probe.send(&one).await, probe.send(&probe.ask(&probe.key())).await);
    look.saw(row(&[&first, &second]));
    look.must(succeeded(&second), "the second did not succeed");
    Ok(look.effects(probe.effects_since(before).await?, 2).done())
}
