//! Handlers fail alone, and nothing goes unheard in silence.

use super::*;
use crate::{Class, Handlers, Reconciler};
use std::cell::RefCell;
use tollgate_core::gateway::PaymentStatus::Authorized;

/// Missing at the gateway: a, b. Wrong amount and status: c. Wrong status: d.
fn findings() -> Report {
    let ledger = vec![row("a", 1), row("b", 1), row("c", 1), row("d", 1)];
    let gateway = vec![
        with_status(Authorized, row("c", 2)),
        with_status(Authorized, row("d", 1)),
    ];
    Reconciler::new(THEN).reconcile(ledger, gateway).unwrap()
}

#[derive(Debug, thiserror::Error)]
#[error("cannot page: card 4111111111111111")]
struct CannotPage;

#[test]
fn a_handler_hears_its_class_alone_or_among_others() {
    let heard = RefCell::new(Vec::new());
    let hear = |name: &'static str| {
        let heard = &heard;
        move |found: &crate::Discrepancy| {
            heard.borrow_mut().push((name, found.reference().to_owned()));
            Ok::<_, CannotPage>(())
        }
    };
    let report = findings();
    let dispatch = Handlers::new()
        .on(Class::StatusMismatch, "status", hear("status"))
        .on(Class::MissingAtGateway, "missing", hear("missing"))
        .on(Class::MissingAtGateway, "missing too", hear("missing too"))
        .run(&report);
    assert!(dispatch.is_complete());
    assert_eq!(dispatch.handled().count(), 4);
    let expected = [
        ("missing", "a"),
        ("missing too", "a"),
        ("missing", "b"),
        ("missing too", "b"),
        ("status", "c"),
        ("status", "d"),
    ];
    let heard: Vec<_> = heard
        .borrow()
        .iter()
        .map(|(name, what)| (*name, what.clone()))
        .collect();
    assert_eq!(heard, expected.map(|(name, what)| (name, what.to_owned())));
}

#[test]
fn one_that_errs_or_panics_stops_nobody() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("a payload that panics when dropped");
        }
    }
    let mut heard = 0;
    let report = findings();
    let mut handlers = Handlers::new()
        .on(Class::MissingAtGateway, "errs", |_| Err(CannotPage))
        .on(Class::MissingAtGateway, "panics", |_| -> Result<(), CannotPage> {
            panic!("card 4111111111111111")
        })
        .on(Class::StatusMismatch, "explodes", |_| -> Result<(), CannotPage> {
            std::panic::panic_any(Bomb)
        })
        .on_any("hears", |_| {
            heard += 1;
            Ok::<_, CannotPage>(())
        });
    let dispatch = handlers.run(&report);
    let failed: Vec<_> = dispatch
        .failures()
        .iter()
        .map(|f| (f.handler(), f.discrepancy().reference()))
        .collect();
    assert_eq!(
        failed,
        [
            ("errs", "a"),
            ("panics", "a"),
            ("errs", "b"),
            ("panics", "b"),
            ("explodes", "c"),
            ("explodes", "d")
        ]
    );
    assert!(dispatch.failures()[0].error().unwrap().is::<CannotPage>());
    assert!(dispatch.failures()[1].error().is_none());
    assert_eq!(dispatch.handled().count(), 0, "who fails has not handled it");
    assert!(!dispatch.is_complete());
    // the texts of error and panic could hold anything
    let shown = format!("{dispatch} {dispatch:?}");
    assert!(
        shown.contains("handler \"panics\" panicked on missing at gateway: a"),
        "{shown}"
    );
    assert!(!shown.contains("4111"), "{shown}");
    drop(dispatch);
    drop(handlers);
    assert_eq!(heard, 4);
}

#[test]
fn what_nobody_hears_is_told() {
    let report = findings();
    let dispatch = Handlers::new()
        .on(Class::AmountMismatch, "amounts", |_| Ok::<_, CannotPage>(()))
        .run(&report);
    let unheard: Vec<_> = dispatch.unhandled().map(crate::Discrepancy::reference).collect();
    assert_eq!(unheard, ["a", "b", "d"]);
    assert!(dispatch.failures().is_empty() && !dispatch.is_complete());
    assert!(
        dispatch
            .to_string()
            .starts_with("1 handled, 0 failed, 3 unhandled, 0 known before\n")
    );
}
