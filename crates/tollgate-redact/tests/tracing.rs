//! Through a real subscriber, as a service has it.

#![cfg(feature = "tracing")]

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use tollgate_redact::{Kind, RedactingMakeWriter, Redactor, Shown};
use tracing_subscriber::fmt::MakeWriter;

/// Remembers each write.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<Vec<u8>>>>);

impl Log {
    fn writes(&self) -> Vec<String> {
        let writes = self.0.lock().expect("no test panics with the lock");
        writes
            .iter()
            .map(|write| String::from_utf8(write.clone()).expect("text"))
            .collect()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .expect("no test panics with the lock")
            .push(bytes.to_vec());
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[derive(Debug)]
struct Card {
    #[allow(dead_code, reason = "read by Debug")]
    number: &'static str,
    #[allow(dead_code, reason = "read by Debug")]
    cvc: Option<&'static str>,
}

fn log(ansi: bool, work: impl FnOnce()) -> (Vec<String>, u64) {
    let log = Log::default();
    let writer = RedactingMakeWriter::new(log.clone());
    let tally = writer.tally();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(writer)
        .with_ansi(ansi)
        .without_time() // its fractions of a second hold any three digits now and then
        .finish();
    tracing::subscriber::with_default(subscriber, work);
    (log.writes(), tally.total())
}

/// Seed F1 to F4 and RD1: a number in a struct, as an integer, in an object or an error went past the filter.
#[test]
fn numbers_are_masked_wherever_they_stand_in_an_event() {
    for ansi in [false, true] {
        let (lines, found) = log(ansi, || {
            let span = tracing::info_span!("checkout", pan = "4111111111111111");
            let _inside = span.enter();
            tracing::info!("note: 4111 1111 1111 1111");
            tracing::info!(number = 4_111_111_111_111_111_u64, cvc = 123, "declined");
            tracing::info!(card = ?Card { number: "4111111111111111", cvc: Some("123") }, "debug");
            tracing::error!(error = %io::Error::other("gateway said: card_number=4111111111111112"), "failed");
        });
        assert_eq!(lines.len(), 4);
        for line in &lines {
            assert!(line.ends_with('\n'), "one write for each event: {line:?}");
            assert!(
                !line.contains("41111") && !line.contains("4111 1") && !line.contains("123"),
                "{line}"
            );
        }
        assert!(
            lines[1].contains("[REDACTED_CVV]") && lines[2].contains("[REDACTED_CVV]"),
            "{lines:?}"
        );
        assert_eq!(
            found,
            4 + 1 + 2 + 2 + 1,
            "a number of the span in each of four lines, and those of the events"
        );
    }
}

#[test]
fn a_clean_event_is_passed_on_as_it_is() {
    let plain = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(plain.clone())
        .without_time()
        .with_ansi(false)
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        tracing::info!(order = "20261121-000123", "settled")
    });
    let masked = Log::default();
    let writer = RedactingMakeWriter::new(masked.clone());
    let subscriber = tracing_subscriber::fmt()
        .with_writer(writer)
        .without_time()
        .with_ansi(false)
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        tracing::info!(order = "20261121-000123", "settled")
    });
    assert_eq!(plain.writes(), masked.writes());
    assert_eq!(plain.writes().len(), 1);
}

/// A formatter may write an event in pieces, and need not end it with a line break: the writer's drop ends it.
#[test]
fn an_event_in_pieces_is_masked_and_complete_when_its_writer_is_dropped() {
    let log = Log::default();
    let make = RedactingMakeWriter::new(log.clone()).redactor(Redactor::new().show(Shown::Nothing));
    let mut writer = make.make_writer();
    for piece in ["pan ", "4111 11", "11 1111 ", "1111"] {
        write!(writer, "{piece}").expect("a vector takes everything");
        writer.flush().expect("a vector flushes");
    }
    assert_eq!(log.writes().concat(), "pan ");
    drop(writer);
    assert_eq!(log.writes().concat(), "pan ****************");
    assert_eq!(make.tally().count(Kind::CardNumber), 1);
    assert_eq!(make.tally().count(Kind::SecurityCode), 0);
}
