//! What must hold for all inputs. Small alphabets on purpose: few references, amounts and times, so that groups of
//! several rows on both sides, ties and clashes are the rule.

use super::oracle::{Settings, Verdict, What, slow};
use super::{reference, rows_of, unmapped};
use crate::{Bucket, Class, Reconciler, Report, Row, Side, Status, Tolerance};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::time::Duration;
use tollgate_core::gateway::PaymentStatus::{Authorized, Captured, Unknown};
use tollgate_core::id::PaymentId;
use tollgate_core::{Currency, Money, Timestamp};

fn status() -> impl Strategy<Value = Status> {
    prop_oneof![
        6 => Just(Captured.into()),
        2 => Just(Authorized.into()),
        1 => Just(Unknown.into()),
        1 => Just(unmapped("settling")),
    ]
}

fn one_row() -> impl Strategy<Value = Row> {
    let money = (
        prop_oneof![3 => -3i64..=6, 1 => prop::sample::select(vec![i64::MIN, i64::MAX, -i64::MAX, 100, 60, 40])],
        prop_oneof![4 => Just(Currency::EUR), 1 => Just(Currency::JPY)],
    );
    let name = (0..4u8, prop::option::of(0..3u8));
    (name, money, status(), 0..6i64).prop_map(|((name, id), (minor, currency), status, second)| Row {
        payment: id.map(|id| PaymentId::new(format!("ch_{id}")).unwrap()),
        ..Row::new(
            reference(&format!("order-{name}")),
            Money::from_minor(minor, currency),
            status,
            Timestamp::from_unix_seconds(second),
        )
    })
}

/// Rows with lines, so that each one can be told from all others.
fn side() -> impl Strategy<Value = Vec<Row>> {
    prop::collection::vec(one_row(), 0..12).prop_map(|rows| {
        rows.into_iter()
            .zip(1..)
            .map(|(row, line)| row.line(line))
            .collect()
    })
}

/// Two or three rows that add up to one, as a split capture does; now and then one of nothing, or at another time.
fn parts(whole: &Row, other: &Row) -> Vec<Row> {
    let part = |minor, at| Row {
        amount: Money::from_minor(minor, whole.amount.currency()),
        at,
        ..whole.clone()
    };
    let (one, all) = (other.amount.minor(), whole.amount.minor());
    let mut parts = vec![part(one, whole.at), part(all.saturating_sub(one), other.at)];
    if other.payment.is_some() {
        parts.push(part(0, whole.at));
    }
    parts
}

/// A gateway side that mostly agrees: a copy of the ledger with rows left out, repeated, split and changed.
fn two_sides() -> impl Strategy<Value = (Vec<Row>, Vec<Row>)> {
    let mostly_alike =
        (side(), prop::collection::vec((0..8u8, one_row()), 12)).prop_map(|(ledger, changes)| {
            let mut gateway = Vec::new();
            for (row, (change, other)) in ledger.iter().zip(changes) {
                match change {
                    0 => {}
                    1 => gateway.extend([row.clone(), row.clone()]),
                    2 => gateway.push(other),
                    3 => gateway.push(Row {
                        reference: reference("elsewhere"),
                        ..row.clone()
                    }),
                    4 => gateway.extend(parts(row, &other)),
                    _ => gateway.push(row.clone()),
                }
            }
            let gateway = gateway
                .into_iter()
                .zip(1..)
                .map(|(row, line)| row.line(line))
                .collect();
            (ledger, gateway)
        });
    prop_oneof![(side(), side()), mostly_alike]
}

fn settings() -> impl Strategy<Value = Settings> {
    (0..4u64, 0..3u64, prop::option::of(0..4u64), any::<bool>()).prop_map(
        |(window, cents, apart, split_rows)| Settings {
            as_of: Timestamp::from_unix_seconds(4),
            window: Duration::from_secs(window),
            tolerance: Tolerance::exact().with(Currency::EUR, cents),
            dates_within: apart.map(Duration::from_secs),
            split_rows,
        },
    )
}

fn fast(ledger: Vec<Row>, gateway: Vec<Row>, settings: &Settings) -> Report {
    let reconciler = Reconciler::new(settings.as_of)
        .window(settings.window)
        .tolerance(settings.tolerance.clone())
        .split_rows(settings.split_rows);
    let reconciler = match settings.dates_within {
        Some(distance) => reconciler.dates_within(distance),
        None => reconciler,
    };
    reconciler.reconcile(ledger, gateway).unwrap()
}

fn verdicts(report: &Report) -> Vec<Verdict> {
    let rows = |row: Option<&Row>| row.cloned().into_iter().collect();
    let matched = report.matches().iter().map(|one| Verdict {
        what: What::Matched,
        ledger: one.ledger().to_vec(),
        gateway: one.gateway().to_vec(),
    });
    let waiting = report.in_transit().iter().map(|one| Verdict {
        what: What::InTransit,
        ledger: rows(one.ledger()),
        gateway: rows(one.gateway()),
    });
    let wrong = report.discrepancies().iter().map(|one| Verdict {
        what: What::Wrong(one.classes().collect()),
        ledger: rows(one.ledger()),
        gateway: rows(one.gateway()),
    });
    let mut all: Vec<_> = matched.chain(waiting).chain(wrong).collect();
    all.sort();
    all
}

fn sorted(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort();
    rows
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    /// Identity, not only counts: the very rows that went in come out, each once.
    #[test]
    fn every_row_ends_in_exactly_one_bucket((ledger, gateway) in two_sides(), settings in settings()) {
        let report = fast(ledger.clone(), gateway.clone(), &settings);
        prop_assert_eq!(rows_of(&report, Side::Ledger), sorted(ledger.clone()));
        prop_assert_eq!(rows_of(&report, Side::Gateway), sorted(gateway.clone()));
        for (side, rows) in [(Side::Ledger, ledger), (Side::Gateway, gateway)] {
            for currency in [Currency::EUR, Currency::JPY] {
                let of = |line: &crate::TotalLine| if side == Side::Ledger { line.ledger } else { line.gateway };
                let lines = || report.totals().iter().filter(|line| line.currency == currency).map(of);
                let rows = || rows.iter().filter(|row| row.amount.currency() == currency);
                prop_assert_eq!(lines().map(|sum| sum.rows).sum::<u64>(), rows().count() as u64);
                prop_assert_eq!(
                    lines().map(|sum| sum.minor).sum::<i128>(),
                    rows().map(|row| i128::from(row.amount.minor())).sum::<i128>()
                );
            }
        }
    }

    /// seed Q3: the order of findings differed from process to process.
    #[test]
    fn the_order_of_the_input_does_not_matter(
        (ledger, gateway) in two_sides(),
        settings in settings(),
        seed in any::<u64>(),
    ) {
        let shuffled = |mut rows: Vec<Row>| {
            let mut state = seed;
            for at in (1..rows.len()).rev() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let other = usize::try_from(state >> 33).unwrap() % (at + 1);
                rows.swap(at, other);
            }
            rows
        };
        let once = fast(ledger.clone(), gateway.clone(), &settings);
        let again = fast(shuffled(ledger), shuffled(gateway), &settings);
        prop_assert_eq!(serde_json::to_string(&once).unwrap(), serde_json::to_string(&again).unwrap());
        prop_assert_eq!(format!("{once:#}"), format!("{again:#}"));
        prop_assert_eq!(once, again);
    }

    #[test]
    fn the_slow_way_gives_the_same_answer((ledger, gateway) in two_sides(), settings in settings()) {
        let report = fast(ledger.clone(), gateway.clone(), &settings);
        prop_assert_eq!(verdicts(&report), slow(&ledger, &gateway, &settings));
    }

    /// seed Q11: every finding of a run has a name of its own, and the same one when the files are laid out anew.
    #[test]
    fn findings_have_names((ledger, gateway) in two_sides(), settings in settings()) {
        let keys = |report: &Report| -> BTreeSet<String> {
            report.discrepancies().iter().map(|found| found.key().as_str().to_owned()).collect()
        };
        let report = fast(ledger.clone(), gateway.clone(), &settings);
        prop_assert_eq!(keys(&report).len(), report.discrepancies().len());
        let moved = |rows: Vec<Row>| -> Vec<Row> {
            rows.into_iter().rev().map(|row| Row { line: None, ..row }).collect()
        };
        prop_assert_eq!(keys(&fast(moved(ledger), moved(gateway), &settings)), keys(&report));
    }

    /// What is wrong from here is wrong from there, with the sides' names exchanged.
    #[test]
    fn exchanging_the_sides_exchanges_the_classes((ledger, gateway) in two_sides(), settings in settings()) {
        let mirrored = |class: Class| match class {
            Class::MissingAtGateway => Class::MissingInLedger,
            Class::MissingInLedger => Class::MissingAtGateway,
            Class::DuplicateAtGateway => Class::DuplicateInLedger,
            Class::DuplicateInLedger => Class::DuplicateAtGateway,
            other => other,
        };
        let here = fast(ledger.clone(), gateway.clone(), &settings);
        let there = fast(gateway, ledger, &settings);
        let count = |report: &Report, class| report.discrepancies().iter().filter(|d| d.class() == class).count();
        for class in Class::ALL {
            prop_assert_eq!(count(&here, class), count(&there, mirrored(class)));
        }
        prop_assert_eq!(here.matches().len(), there.matches().len());
        prop_assert_eq!(here.in_transit().len(), there.in_transit().len());
    }

    /// Nothing is a match that disagrees, and equal sides have no difference at all but the words nobody knows.
    #[test]
    fn a_side_agrees_with_itself(rows in side()) {
        let settings = Settings {
            as_of: Timestamp::from_unix_seconds(100),
            window: Duration::ZERO,
            tolerance: Tolerance::exact(),
            dates_within: None,
            split_rows: false,
        };
        let report = fast(rows.clone(), rows.clone(), &settings);
        let unclear = rows.iter().filter(|row| row.status.understood().is_none()).count();
        prop_assert_eq!(report.discrepancies().len(), unclear);
        prop_assert!(report.discrepancies().iter().all(|found| found.class() == Class::UnknownStatus));
        prop_assert_eq!(report.matches().len(), rows.len() - unclear);
    }

    /// Waiting hides nothing for good: once everything is due, nothing is in transit.
    #[test]
    fn in_transit_ends((ledger, gateway) in two_sides(), mut settings in settings()) {
        let waiting = fast(ledger.clone(), gateway.clone(), &settings);
        for one in waiting.in_transit() {
            prop_assert!(one.due() > settings.as_of);
        }
        settings.as_of = waiting.in_transit().iter().map(crate::InTransit::due).max().unwrap_or(settings.as_of);
        let (ledger, gateway) = waiting.carry_over();
        let later = fast(ledger.rows().to_vec(), gateway.rows().to_vec(), &settings);
        prop_assert!(later.in_transit().is_empty());
        prop_assert_eq!(
            later.totals().iter().filter(|line| line.bucket == Bucket::InTransit).count(),
            0
        );
    }
}
