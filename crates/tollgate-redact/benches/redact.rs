//! Masking by kind of text, beside what a first attempt would be: one regular expression and a check digit.
//!
//! `cargo bench -p tollgate-redact`. Read it as bytes per second per kind of text: clean prose shows how fast text without
//! digits is skipped, the log how dear ordinary numbers are, the dense text what masking itself costs.

#![allow(missing_docs, reason = "criterion's macros make items without documentation")]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use regex::{Captures, Regex};
use std::borrow::Cow;
use std::hint::black_box;

const PROSE: &str = "a request came in and an answer went out, and nobody was charged twice\n";
const LOG: &str = "2026-11-21T10:12:34.567890Z  INFO checkout{trace_id=4bf92f3577b34da6a3ce929d0e0e4736}: charge settled \
                   order=20261121-000123 amount=4200 EUR in 12.7ms\n";
const DIGITS: &str =
    "192.168.100.200 10:12:34,567 17 4711 1700000000000 356938035643809 4006381333931 200 404\n";
const JSON: &str = "{\"id\":1234567,\"amount\":1000,\"currency\":\"EUR\",\"created\":1700000000,\"pan\":\"4111111111111111\",\
                    \"cvc\":123,\"items\":[1,2,3,44,55],\"ok\":true}\n";
const CARDS: &str = "paid 42.00 EUR with card 4111 1111 1111 1111, cvv: 999, order 20261121-000123\n";
const FOREIGN: &str = "決済が完了しました。注文の確認メールをお送りします\n";
const ONES: &str = "1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 ";

/// Thirteen to nineteen digits with a space or dash between them, and the check digit: the rule most people write first.
struct Naive {
    number: Regex,
}

impl Naive {
    fn new() -> Self {
        Self {
            number: Regex::new(r"\b(?:[0-9][ -]?){12,18}[0-9]\b").expect("a regular expression"),
        }
    }

    fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.number.replace_all(text, |found: &Captures<'_>| {
            let digits: Vec<u8> = found[0].bytes().filter(u8::is_ascii_digit).collect();
            if passes(&digits) {
                "****".to_owned()
            } else {
                found[0].to_owned()
            }
        })
    }
}

fn passes(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, u32::from(digit - b'0')) {
            (0, digit) => digit,
            (_, digit) if digit > 4 => digit * 2 - 9,
            (_, digit) => digit * 2,
        })
        .sum();
    sum.is_multiple_of(10)
}

fn texts() -> [(&'static str, &'static str); 7] {
    [
        ("prose", PROSE),
        ("log", LOG),
        ("digits", DIGITS),
        ("json", JSON),
        ("cards", CARDS),
        ("foreign", FOREIGN),
        ("ones", ONES),
    ]
}

fn one_line(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("line");
    for (name, line) in texts() {
        group.throughput(Throughput::Bytes(line.len().try_into().expect("a short line")));
        group.bench_with_input(BenchmarkId::new("redact", name), line, |bencher, line| {
            bencher.iter(|| tollgate_redact::redact(black_box(line)).len());
        });
    }
    group.finish();
}

fn much_text(criterion: &mut Criterion) {
    let naive = Naive::new();
    let mut group = criterion.benchmark_group("256 KiB");
    for (name, line) in texts() {
        let text = line.repeat(256 * 1024 / line.len());
        group.throughput(Throughput::Bytes(text.len().try_into().expect("a short text")));
        group.bench_with_input(BenchmarkId::new("redact", name), &text, |bencher, text| {
            bencher.iter(|| tollgate_redact::redact(black_box(text)).len());
        });
        group.bench_with_input(BenchmarkId::new("naive regex", name), &text, |bencher, text| {
            bencher.iter(|| naive.redact(black_box(text)).len());
        });
    }
    group.finish();
}

criterion_group!(benches, one_line, much_text);
criterion_main!(benches);
