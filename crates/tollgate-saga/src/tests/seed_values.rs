//! What the Python original got wrong about its log and its values, by the number of the demonstration.

use super::shared;
use crate::{Definition, Outcome, Sagas, Settled, StartError, StepContext, step};
use serde::{Deserialize, Serialize, Serializer};
use tollgate_core::PaymentError;
use tollgate_core::store::saga::SagaJournal;

/// A value that has no stored form.
#[derive(Debug)]
struct Unstorable;

impl Serialize for Unstorable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("never"))
    }
}

impl<'de> Deserialize<'de> for Unstorable {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("never"))
    }
}

/// S7: a context that could not be copied lost three records of four, silently.
#[tokio::test(start_paused = true)]
async fn s7_what_has_no_stored_form_is_said_so() {
    let (clock, journal) = shared();
    let input = Definition::new("input", 1, (), |flow, input| {
        let (out, flow) = flow.pivot(
            step("take", |_: StepContext<()>, _: Unstorable| async {
                Ok::<_, PaymentError>(())
            }),
            input,
        );
        flow.finish(out)
    })
    .unwrap();
    let sagas = Sagas::on(journal.clone())
        .register(&input)
        .clock(clock.clone())
        .open()
        .unwrap();
    assert!(matches!(
        sagas.start(&input, "a", &Unstorable).await,
        Err(StartError::Input)
    ));

    // an output: it has happened, and nobody can go on without a person
    let output = Definition::new("output", 1, (), |flow, input| {
        let (out, flow) = flow.pivot(
            step("give", |_: StepContext<()>, _: u64| async {
                Ok::<_, PaymentError>(Unstorable)
            }),
            input,
        );
        flow.finish(out)
    })
    .unwrap();
    let sagas = Sagas::on(journal).register(&output).clock(clock).open().unwrap();
    let settled = sagas.start(&output, "a", &1).await.unwrap().wait().await.unwrap();
    let Settled::Parked(cases) = settled else {
        panic!("{settled:?}")
    };
    assert!(cases[0].why.contains("no stored form"), "{cases:?}");
}

/// S8b: an empty input was taken for none and replaced by another object.
#[tokio::test(start_paused = true)]
async fn s8b_an_empty_input_arrives_as_it_was() {
    let (clock, journal) = shared();
    let echo = Definition::new("echo", 1, (), |flow, input| {
        let (out, flow) = flow.pivot(
            step("echo", |_: StepContext<()>, input: Vec<Option<u8>>| async move {
                Ok::<_, PaymentError>(input)
            }),
            input,
        );
        flow.finish(out)
    })
    .unwrap();
    let sagas = Sagas::on(journal).register(&echo).clock(clock).open().unwrap();
    for (key, input) in [
        ("empty", vec![]),
        ("none", vec![None]),
        ("some", vec![Some(0), None]),
    ] {
        let settled = sagas
            .start(&echo, key, &input)
            .await
            .unwrap()
            .wait()
            .await
            .unwrap();
        assert_eq!(settled, Settled::Completed(input));
    }
}

/// S12: the whole history was copied at each transition. Here each result is written once.
#[tokio::test(start_paused = true)]
async fn s12_a_journal_grows_with_its_results_only() {
    const RESULT: usize = 20_000;
    let (clock, journal) = shared();
    let definition = Definition::new("long", 1, (), |mut flow, input| {
        let names = [
            "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s",
            "t",
        ];
        for name in names {
            let big = step(name, |_: StepContext<()>, _: u64| async {
                Outcome::Done("x".repeat(RESULT))
            });
            let _ = flow.step(big.without_effect(), input);
        }
        flow.finish(())
    })
    .unwrap();
    let sagas = Sagas::on(journal.clone())
        .register(&definition)
        .clock(clock)
        .open()
        .unwrap();
    let run = sagas.start(&definition, "a", &1).await.unwrap();
    assert_eq!(run.wait().await.unwrap(), Settled::Completed(()));
    let records = journal.load(run.id()).await.unwrap().unwrap().records;
    let bytes: usize = records.iter().map(|record| record.len()).sum();
    assert!(bytes < 20 * (RESULT + 500), "{bytes}");
}
