//! What people and machines are shown.

use super::*;
use crate::report::Control;
use crate::{Bucket, ReconcileError, Reconciler, Sheet, Side, Sum, Tolerance, TotalLine};
use std::time::Duration;
use tollgate_core::gateway::PaymentStatus::Authorized;

fn a_day() -> Report {
    let ledger = vec![
        row("a", 1999),
        row("b", 500),
        row("c", -700),
        in_currency(Currency::JPY, row("d", 300)),
        at(90, row("e", 1)),
    ];
    let gateway = vec![
        row("a", 2000),
        with_status(Authorized, row("b", 500)),
        row("b", 500),
        row("c", -70_000).line(12),
        row("d", 300),
    ];
    let mut gateway = Sheet::from(gateway);
    let reader = crate::Reader::new(Side::Gateway);
    gateway.extend([reader.read(99, &crate::RawRow::new("", "1", "EUR", "captured", "x"))]);
    Reconciler::new(at(100, row("x", 1)).at)
        .window(Duration::from_secs(60))
        .tolerance(Tolerance::exact().with(EUR, 1))
        .reconcile(Sheet::from(ledger), gateway)
        .unwrap()
}

#[test]
fn a_person_can_read_it() {
    let expected = "\
Reconciliation as of 2023-11-14T22:15:00.000000Z: 3 to look into, 1 row could not be read

                               ledger             amount  gateway             amount
  matched               EUR         2              24.99        2              25.00
  in transit            EUR         1               0.01        -                  -
  duplicate at gateway  EUR         -                  -        1               5.00
  currency mismatch     EUR         -                  -        1               3.00
  currency mismatch     JPY         1                300        -                  -
  amount mismatch       EUR         1              -7.00        1            -700.00
  of the matches, 1 within tolerance, not exact

  unreadable: gateway line 99: reference is empty
  duplicate at gateway (differs from the other row): b 5.00 EUR authorized 2023-11-14T22:13:20.000000Z
  currency mismatch: ledger d 300 JPY captured 2023-11-14T22:13:20.000000Z, gateway d 3.00 EUR captured 2023-11-14T22:13:20.000000Z
  amount mismatch (off by a factor of 100): ledger c -7.00 EUR captured 2023-11-14T22:13:20.000000Z, gateway c -700.00 EUR captured 2023-11-14T22:13:20.000000Z (line 12)
";
    assert_eq!(a_day().to_string(), expected);
}

#[test]
fn a_machine_can_read_it() {
    let json: serde_json::Value = serde_json::to_value(a_day()).unwrap();
    assert_eq!(json["totals"][0]["bucket"], "matched");
    assert_eq!(json["totals"][0]["ledger"]["minor"], "2499");
    assert_eq!(json["totals"][2]["bucket"]["discrepant"], "duplicate_at_gateway");
    assert_eq!(json["discrepancies"][2]["class"], "amount_mismatch");
    assert_eq!(json["discrepancies"][2]["hint"]["scale"], 100);
    assert_eq!(json["discrepancies"][2]["gateway"]["line"], 12);
    assert_eq!(json["unreadable"][0]["field"], "reference");
    assert_eq!(json["matches"].as_array().unwrap().len(), 2);
    assert_eq!(json["in_transit"].as_array().unwrap().len(), 1);
}

#[test]
fn a_short_report_says_what_it_leaves_out() {
    let ledger: Vec<Row> = (0..25)
        .map(|number| row(&format!("order-{number:02}"), 1))
        .collect();
    let report = Reconciler::new(THEN).reconcile(ledger, vec![]).unwrap();
    assert!(report.to_string().ends_with("  and 5 more\n"));
    assert_eq!(format!("{report:#}").matches("missing at gateway: ").count(), 25);
}

/// Sums of many 64-bit amounts need more than 64 bits, and print exactly.
#[test]
fn sums_are_exact_beyond_64_bits() {
    let rows: Vec<Row> = (0..3).map(|number| row(&format!("{number}"), i64::MIN)).collect();
    let report = Reconciler::new(THEN).reconcile(rows, vec![]).unwrap();
    assert_eq!(report.totals()[0].ledger.minor, 3 * i128::from(i64::MIN));
    assert!(report.to_string().contains("-276701161105643274.24"), "{report}");
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["totals"][0]["ledger"]["minor"], "-27670116110564327424");
}

/// The control totals would catch a run that loses, repeats or changes a row.
#[test]
fn a_report_that_does_not_balance_is_refused() {
    let ledger = Sheet::from(vec![row("a", 5), row("b", 7)]);
    let control = Control::of(&ledger, &Sheet::default()).unwrap();
    let line = |rows, minor| TotalLine {
        bucket: Bucket::Matched,
        currency: EUR,
        ledger: Sum { rows, minor },
        gateway: Sum::default(),
    };
    assert_eq!(control.check(&[line(2, 12)]), Ok(()));
    assert_eq!(control.check(&[line(1, 5), line(1, 7)]), Ok(()));
    let lost = Err(ReconcileError::NotConserved { side: Side::Ledger });
    for wrong in [
        vec![],
        vec![line(1, 5)],
        vec![line(3, 12)],
        vec![line(2, 13)],
        vec![line(2, 12), line(2, 12)],
    ] {
        assert_eq!(control.check(&wrong), lost, "{wrong:?}");
    }
    let elsewhere = TotalLine {
        currency: Currency::USD,
        ..line(2, 12)
    };
    assert_eq!(control.check(&[elsewhere]), lost);
    let overflow = ReconcileError::Overflow {
        side: Side::Ledger,
        currency: EUR,
    };
    assert_eq!(control.check(&[line(1, i128::MAX), line(1, 1)]), Err(overflow));
}

/// What the README says the example prints is what it prints.
#[test]
fn the_readme_tells_the_truth() {
    let twice = |second| at(second, row("order-1", 1999)).line(if second == 3 { 1 } else { 2 });
    let ledger = vec![row("order-1", 1999).line(1), at(60, row("order-2", 500)).line(2)];
    let report = Reconciler::new(at(100_000, row("now", 1)).at)
        .reconcile(ledger, vec![twice(3), twice(4)])
        .unwrap();
    let readme = include_str!("../../README.md");
    assert!(readme.contains(&report.to_string()), "{report}");
}
