//! Groups, windows and sizes that examples show better than properties.

use super::*;
use crate::{Hint, Reconciler};
use std::time::Duration;
use tollgate_core::gateway::PaymentStatus::{Authorized, Captured};

fn reconcile(ledger: Vec<Row>, gateway: Vec<Row>) -> Report {
    Reconciler::new(THEN).reconcile(ledger, gateway).unwrap()
}

#[test]
fn nothing_against_nothing_is_clean() {
    let report = reconcile(vec![], vec![]);
    assert!(report.is_clean() && report.totals().is_empty());
}

#[test]
fn the_surest_pairs_come_first() {
    // exact before status before amount: each ledger row finds the gateway row that is most like it
    let ledger = vec![row("a", 10), row("a", 20), row("a", 30)];
    let gateway = vec![row("a", 31), with_status(Authorized, row("a", 20)), row("a", 10)];
    let report = reconcile(ledger, gateway);
    assert_eq!(report.matches()[0].ledger()[0].amount.minor(), 10);
    assert_eq!(
        found(&report),
        [
            ("a".into(), vec![Class::AmountMismatch]),
            ("a".into(), vec![Class::StatusMismatch])
        ]
    );
}

#[test]
fn rows_on_one_side_only_are_one_missing_and_duplicates() {
    let report = reconcile(vec![], vec![at(2, row("a", 1)), row("a", 9), at(1, row("a", 1))]);
    assert_eq!(
        found(&report),
        [
            ("a".into(), vec![Class::MissingInLedger]),
            ("a".into(), vec![Class::DuplicateAtGateway]),
            ("a".into(), vec![Class::DuplicateAtGateway]),
        ]
    );
    assert_eq!(
        report.discrepancies()[0].gateway().unwrap().amount.minor(),
        9,
        "the earliest is the missing one"
    );
}

#[test]
fn hints_name_factors() {
    for (ours, theirs, hint) in [
        (100, 10_000, Some(Hint::Scale(100))),
        (10_000, 10, Some(Hint::Scale(1000))),
        (5, 50, Some(Hint::Scale(10))),
        (5, 51, None),
        (0, 50, None),
        (i64::MAX, 1, None),
    ] {
        let report = reconcile(vec![row("a", ours)], vec![row("a", theirs)]);
        assert_eq!(report.discrepancies()[0].hint(), hint, "{ours} {theirs}");
    }
}

/// A pair astride the edge of the window is not torn apart, and no future date is an excuse for ever.
#[test]
fn the_window_excuses_only_the_young() {
    let reconciler = Reconciler::new(at(100, row("a", 1)).at).window(Duration::from_secs(50));
    let run = |ledger: Vec<Row>, gateway: Vec<Row>| reconciler.reconcile(ledger, gateway).unwrap();
    let agreed = run(vec![at(49, row("a", 1))], vec![at(51, row("a", 1))]);
    assert_eq!(agreed.matches().len(), 1);
    let behind = run(
        vec![at(49, row("a", 1))],
        vec![at(51, with_status(Authorized, row("a", 1)))],
    );
    assert!(behind.is_clean());
    assert_eq!(behind.in_transit().len(), 1, "both rows wait together");
    for (second, is_excused) in [
        (50, false),
        (51, true),
        (149, true),
        (150, false),
        (1_000_000, false),
    ] {
        let report = run(vec![at(second, row("a", 1))], vec![]);
        assert_eq!(report.is_clean(), is_excused, "{second}");
    }
    // an old row next to a young duplicate: the old one matches, the young one waits
    let report = run(vec![row("a", 1)], vec![row("a", 1), at(99, row("a", 1))]);
    assert_eq!((report.matches().len(), report.in_transit().len()), (1, 1));
}

#[test]
fn extreme_amounts_are_exact() {
    let rows = vec![row("a", i64::MAX), row("b", i64::MAX), row("c", i64::MIN)];
    let report = reconcile(rows.clone(), rows);
    assert_eq!(
        report.totals()[0].ledger.minor,
        i128::from(i64::MAX) * 2 + i128::from(i64::MIN)
    );
    let far = reconcile(vec![row("a", i64::MAX)], vec![row("a", 0)]);
    assert_eq!(found(&far), [("a".into(), vec![Class::AmountMismatch])]);
}

/// Linear-ish: a hostile file with one reference for all rows must not be quadratic. A quadratic pairing of these would
/// take minutes; the count is what is asserted.
#[test]
fn one_reference_for_all_rows_is_no_trap() {
    const ROWS: i64 = 50_000;
    let ledger: Vec<Row> = (0..ROWS).map(|cents| row("same", cents)).collect();
    let gateway: Vec<Row> = (0..ROWS)
        .map(|cents| {
            with_status(
                if cents % 2 == 0 { Captured } else { Authorized },
                row("same", cents * 2),
            )
        })
        .collect();
    let report = Reconciler::new(THEN)
        .split_rows(true)
        .reconcile(ledger, gateway)
        .unwrap();
    assert_eq!(report.matches().len() + report.discrepancies().len(), 50_000);
}

/// A group that only the gateway's id holds together keeps its surplus.
#[test]
fn duplicates_under_a_gateway_id() {
    let ledger = vec![paid_by("ch_1", row("ours", 1))];
    let gateway = vec![
        paid_by("ch_1", row("theirs", 1)),
        paid_by("ch_1", row("theirs-again", 1)),
    ];
    let report = reconcile(ledger, gateway);
    assert_eq!(report.matches().len(), 1);
    assert_eq!(
        found(&report),
        [("theirs-again".into(), vec![Class::DuplicateAtGateway])]
    );
}
