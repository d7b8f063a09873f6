#[cfg(feature = "full")]
use serde::Serialize;
use std::collections::BTreeSet;
use tollgate_core::{PaymentErrorKind, RejectionKind};

/// A problem document links to its code here: a code without a heading is a dead link, a heading without a code is a stale page.
#[test]
fn every_code_has_its_heading_and_every_heading_its_code() {
    let headings: BTreeSet<&str> = include_str!("problems.md")
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .collect();
    let codes: BTreeSet<&str> = RejectionKind::ALL
        .iter()
        .map(|kind| kind.code())
        .chain(
            PaymentErrorKind::ALL
                .iter()
                .filter(|kind| **kind != PaymentErrorKind::Rejected) // always tells its rejection's code
                .map(|kind| kind.as_str()),
        )
        .collect();
    assert_eq!(headings, codes);
}

/// The page says why each default is what it is: a setting without a row has no reason.
#[cfg(feature = "full")]
#[test]
fn every_setting_has_its_row() {
    fn named(layer: &'static str, settings: impl Serialize) -> impl Iterator<Item = (&'static str, String)> {
        let settings = serde_json::to_value(settings).unwrap();
        let names: Vec<String> = settings.as_object().unwrap().keys().cloned().collect();
        names.into_iter().map(move |name| (layer, name))
    }

    let settings = named("idempotency", crate::idempotency::IdempotencyConfig::default())
        .chain(named("upkeep", crate::idempotency::Upkeep::default()))
        .chain(named(
            "circuit breaker",
            crate::circuit_breaker::BreakerConfig::default(),
        ))
        .chain(named("retry", crate::retry::RetryConfig::default()))
        .chain(named("webhook", crate::webhook::WebhookConfig::default()))
        .chain(named("webhook upkeep", crate::webhook::Upkeep::default()));
    let mut layer = "";
    let mut told = BTreeSet::new();
    for row in include_str!("settings.md").lines() {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        if let [_, named, names, ..] = cells[..] {
            layer = if named.is_empty() { layer } else { named };
            told.extend(
                names
                    .split('`')
                    .skip(1)
                    .step_by(2)
                    .map(|name| (layer, name.to_owned())),
            );
        }
    }
    for setting in settings {
        assert!(told.contains(&setting), "{setting:?} has no row");
    }
}
