//! One run over two lists in different orders, one row in a hundred wrong: `cargo bench -p tollgate-reconcile`.

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use tollgate_core::gateway::PaymentStatus;
use tollgate_core::id::MerchantReference;
use tollgate_core::{Currency, Money, Timestamp};
use tollgate_reconcile::{Reconciler, Row};

const NOW: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);

fn row(number: u64, minor: i64) -> Row {
    let reference = MerchantReference::new(format!("order-{number:09}")).expect("a valid reference");
    Row::new(
        reference,
        Money::from_minor(minor, Currency::EUR),
        PaymentStatus::Captured,
        NOW,
    )
}

/// The multiplication by an odd constant visits every number below a power of two once, in no order of use.
fn scattered(count: u64) -> impl Iterator<Item = u64> {
    let size = count.next_power_of_two();
    (0..size)
        .map(move |number| number.wrapping_mul(0x9E37_79B9) % size)
        .filter(move |number| *number < count)
}

fn sides(count: u64) -> (Vec<Row>, Vec<Row>) {
    let ledger = (0..count).map(|number| row(number, 1_999)).collect();
    let gateway = scattered(count)
        .map(|number| row(number, if number % 100 == 0 { 1_998 } else { 1_999 }))
        .collect();
    (ledger, gateway)
}

fn reconcile(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("reconcile");
    group.sample_size(20);
    for count in [10_000, 100_000] {
        let (ledger, gateway) = sides(count);
        let expected = ledger.len() / 100;
        group.throughput(Throughput::Elements(count));
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter_batched(
                || (ledger.clone(), gateway.clone()),
                |(ledger, gateway)| {
                    let report = Reconciler::new(NOW).reconcile(black_box(ledger), black_box(gateway));
                    let report = report.expect("a report");
                    assert_eq!(report.discrepancies().len(), expected);
                    report
                },
                BatchSize::LargeInput,
            );
        });
    }
    // one reference for all rows: the worst that a report can do to the pairing
    let same = |minor| Row {
        reference: MerchantReference::new("same").expect("valid"),
        ..row(0, minor)
    };
    let ledger: Vec<Row> = (0..10_000).map(same).collect();
    let gateway: Vec<Row> = (0..10_000).rev().map(|minor| same(minor * 2)).collect();
    group.bench_function("10000/one reference", |bencher| {
        bencher.iter_batched(
            || (ledger.clone(), gateway.clone()),
            |(ledger, gateway)| Reconciler::new(NOW).reconcile(ledger, gateway).expect("a report"),
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group!(benches, reconcile);
criterion_main!(benches);
