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
