//! What an audit store must keep: numbered without gaps, linked, and byte for byte.

use crate::conformance::Subject;
use std::sync::Arc;
use tollgate_core::store::audit::{AuditEntry, AuditStore, Receipt, chain};

properties! {
    /// Makes a module of tests out of every property of [`conformance::audit`](crate::conformance::audit): give the module's name
    /// and an expression that makes a [`Subject`](crate::conformance::Subject) with an empty store.
    audit_conformance, each_audit_property, audit:
    an_empty_chain_starts_at_the_start,
    entries_are_numbered_and_linked,
    a_receipt_is_the_head,
    bytes_are_kept_as_they_were_written,
    chains_do_not_touch_each_other,
    a_chain_is_read_in_pages,
    time_does_not_run_backwards_in_a_chain,
    many_writers_leave_no_gap,
}

async fn append<S: AuditStore>(subject: &Subject<S>, name: &str, body: &[u8]) -> Receipt {
    ask!(subject.store().append(name, body.into()))
}

async fn read<S: AuditStore>(subject: &Subject<S>, name: &str) -> Vec<AuditEntry> {
    ask!(subject.store().read(name, 0, 10_000))
}

fn verify(name: &str, entries: &[AuditEntry], anchor: Receipt) {
    if let Err(broken) = chain::verify(name, Receipt::START, entries, Some(anchor)) {
        panic!("chain {name:?} is broken: {broken}");
    }
}

/// Nothing written: the start, and nothing to read.
pub async fn an_empty_chain_starts_at_the_start<S: AuditStore>(subject: &Subject<S>) {
    assert_eq!(ask!(subject.store().head("none")), Receipt::START);
    assert_eq!(read(subject, "none").await, []);
}

/// Entries are numbered from 1 and verify against the last receipt.
pub async fn entries_are_numbered_and_linked<S: AuditStore>(subject: &Subject<S>) {
    let mut last = Receipt::START;
    for number in 1..=20 {
        last = append(subject, "payments", format!("entry {number}").as_bytes()).await;
        assert_eq!(last.seq, number);
    }
    let entries = read(subject, "payments").await;
    assert_eq!(entries.len(), 20);
    verify("payments", &entries, last);
}

/// What an append gives is what the head is.
pub async fn a_receipt_is_the_head<S: AuditStore>(subject: &Subject<S>) {
    for _ in 0..3 {
        let receipt = append(subject, "payments", b"same bytes").await;
        assert_eq!(ask!(subject.store().head("payments")), receipt);
    }
}

/// Empty, long, and not text at all: the bytes come back, in order.
pub async fn bytes_are_kept_as_they_were_written<S: AuditStore>(subject: &Subject<S>) {
    let every_byte: Vec<u8> = (0..=255).collect();
    let bodies = [
        Vec::new(),
        every_byte.clone(),
        every_byte.repeat(1024),
        b"'; --".to_vec(),
    ];
    let mut last = Receipt::START;
    for body in &bodies {
        last = append(subject, "payments", body).await;
    }
    let entries = read(subject, "payments").await;
    let found: Vec<_> = entries.iter().map(|entry| entry.body.to_vec()).collect();
    assert!(found == bodies, "the bytes differ from what was written");
    verify("payments", &entries, last);
}

/// Chains are told apart by their whole name, whatever is in it.
pub async fn chains_do_not_touch_each_other<S: AuditStore>(subject: &Subject<S>) {
    let names = ["a", "A", "a ", "", "ä", "a'b\"c", "a%", "a_"];
    for round in 1..=2 {
        for name in names {
            assert_eq!(
                append(subject, name, name.as_bytes()).await.seq,
                round,
                "chain {name:?}"
            );
        }
    }
    for name in names {
        let entries = read(subject, name).await;
        assert!(
            entries.iter().all(|entry| &*entry.body == name.as_bytes()),
            "chain {name:?}"
        );
        verify(name, &entries, ask!(subject.store().head(name)));
    }
}

/// Pages go on where the one before ended.
pub async fn a_chain_is_read_in_pages<S: AuditStore>(subject: &Subject<S>) {
    for number in 0..7u8 {
        append(subject, "payments", &[number]).await;
    }
    let (mut after, mut seen) = (0, Vec::new());
    loop {
        let page = ask!(subject.store().read("payments", after, 3));
        assert!(page.len() <= 3, "no more than the limit");
        let Some(last) = page.last() else { break };
        after = last.seq;
        seen.extend(page.iter().map(|entry| entry.seq));
        assert!(seen.len() < 100, "the reading does not end");
    }
    assert_eq!(seen, [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(ask!(subject.store().read("payments", u64::MAX, 3)), []);
}

/// Later entries carry later times.
pub async fn time_does_not_run_backwards_in_a_chain<S: AuditStore>(subject: &Subject<S>) {
    for _ in 0..3 {
        append(subject, "payments", b"entry").await;
        subject.pass(1).await;
    }
    let times: Vec<_> = read(subject, "payments")
        .await
        .iter()
        .map(|entry| entry.at)
        .collect();
    assert!(times.is_sorted(), "{times:?}");
    assert!(
        times[2].since(times[0]) >= subject.unit() * 2,
        "the store's clock moves: {times:?}"
    );
}

/// Reading the head and writing the next link are one step: many writers make one chain, and each finds its own entry at the
/// number it was told.
pub async fn many_writers_leave_no_gap<S: AuditStore>(subject: &Subject<S>) {
    let receipts = subject
        .together(16, |store, writer| async move {
            let mut receipts = Vec::new();
            for turn in 0..8u8 {
                let body: Arc<[u8]> = [writer, turn][..].into();
                receipts.push((ask!(store.append("payments", Arc::clone(&body))), body));
            }
            receipts
        })
        .await;
    let entries = read(subject, "payments").await;
    assert_eq!(entries.len(), 16 * 8);
    verify("payments", &entries, ask!(subject.store().head("payments")));
    for (receipt, body) in receipts.into_iter().flatten() {
        let found = entries.iter().find(|entry| entry.seq == receipt.seq);
        assert_eq!(
            found.map(|entry| (entry.hash, &entry.body)),
            Some((receipt.hash, &body))
        );
    }
}
