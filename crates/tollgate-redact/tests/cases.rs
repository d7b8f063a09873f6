//! The cases of `data/cases.jsonl`, one by one.

use serde_json::Value;
use std::borrow::Cow;

const CASES: &str = include_str!("data/cases.jsonl");

struct Case {
    number: u64,
    input: String,
    expected: String,
}

fn cases() -> Vec<Case> {
    let text = |value: &Value, name: &str| value[name].as_str().expect("a text").to_owned();
    CASES
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"))
        .map(|case| Case {
            number: case["n"].as_u64().expect("a number"),
            input: text(&case, "input"),
            expected: text(&case, "expected"),
        })
        .collect()
}

#[test]
fn there_are_as_many_cases_as_were_written() {
    let numbers: Vec<u64> = cases().iter().map(|case| case.number).collect();
    assert_eq!(numbers, (1..=121).collect::<Vec<_>>());
}

#[test]
fn every_case_comes_out_as_written() {
    let mut wrong = Vec::new();
    for Case {
        number,
        input,
        expected,
    } in cases()
    {
        let out = tollgate_redact::redact(&input);
        if out != expected {
            wrong.push(format!(
                "{number}: {input}\n  expected {expected}\n  got      {out}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_text_without_card_data_is_borrowed() {
    for Case {
        number,
        input,
        expected,
    } in cases()
    {
        let borrowed = matches!(tollgate_redact::redact(&input), Cow::Borrowed(_));
        assert_eq!(borrowed, input == expected, "{number}");
    }
}

#[test]
fn bytes_and_text_agree_and_a_second_pass_changes_nothing() {
    for Case {
        number,
        input,
        expected,
    } in cases()
    {
        assert_eq!(
            &*tollgate_redact::redact_bytes(input.as_bytes()),
            expected.as_bytes(),
            "{number}"
        );
        assert_eq!(tollgate_redact::redact(&expected), expected, "{number}");
    }
}

#[test]
fn every_case_comes_out_the_same_within_a_longer_text() {
    for Case {
        number,
        input,
        expected,
    } in cases()
    {
        let text = format!("first line\n{input}\nlast line");
        assert_eq!(
            tollgate_redact::redact(&text),
            format!("first line\n{expected}\nlast line"),
            "{number}"
        );
    }
}

#[test]
fn json_stays_json() {
    for Case { number, input, .. } in cases() {
        if serde_json::from_str::<Value>(&input).is_ok_and(|value| value.is_object()) {
            let out = tollgate_redact::redact(&input);
            assert!(serde_json::from_str::<Value>(&out).is_ok(), "{number}: {out}");
        }
    }
}
