use super::*;
use proptest::prelude::*;
use std::cell::RefCell;
use std::rc::Rc;

/// One text per shape of secret, and what it must become. The last ones have nothing to mask.
const TEXTS: &[&str] = &[
    "4111-1111-1111-1111",
    "caf\u{e9} 4111111111111111 \u{2713}",
    "card 4111 1111 1111 1111 cvv: 999 was used",
    "4111111111111111|12|2025|123",
    "\u{ff14}\u{ff11}\u{ff11}\u{ff11}\u{ff11}\u{ff11}\u{ff11}\u{ff11}\u{ff11}\u{ff11}\u{ff11}\u{ff11}\u{ff11}\u{ff11}\u{ff11}\u{ff11}",
    "{\"pan\":4111111111111111,\"cvc\":123,\"cards\":[5555555555554444, 1]}",
    "%B4111111111111111^DOE/JOHN^25121010000000000?",
    "track=%25B4111111111111111%5EDOE%2FJOHN%5E2512101000000%3F",
    "x;4111111111111111=25121011234567890?y",
    "q=%204111%201111%201111%201111&cvc=123",
    "n=\\u00344111111111111111\\u0020 \\u0034111111111111111",
    "2024-09-27 10:12:34,567 took 12 ms for SE45 5000 0000 0583 9825 7466",
    "550e8400-e29b-41d4-a716-446655440000 50% done \\ 100%",
];

fn through(pieces: &[&[u8]], flush: bool, redactor: Redactor) -> Vec<u8> {
    let mut sink = Vec::new();
    let mut writer = RedactingWriter::with(&mut sink, redactor, Arc::default());
    for piece in pieces {
        writer.write_all(piece).unwrap();
        if flush {
            writer.flush().unwrap();
        }
    }
    drop(writer);
    sink
}

/// Every cut of every text into two and three pieces, with and without a flush at the cuts.
#[test]
fn a_secret_cut_anywhere_is_masked_all_the_same() {
    for ending in ["", "\r\nnext"] {
        for text in TEXTS {
            let text = format!("{text}{ending}");
            let bytes = text.as_bytes();
            let whole = crate::redact_bytes(bytes);
            for first in 0..=bytes.len() {
                for second in first..=bytes.len() {
                    let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                    for flush in [false, true] {
                        let out = through(&pieces, flush, Redactor::new());
                        assert_eq!(
                            String::from_utf8_lossy(&out),
                            String::from_utf8_lossy(&whole),
                            "{text:?} cut at {first} and {second}, flush: {flush}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn bytes_written_one_by_one_with_a_flush_after_each_come_out_the_same() {
    for text in TEXTS {
        let pieces: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
        let out = through(&pieces, true, Redactor::new());
        assert_eq!(String::from_utf8_lossy(&out), crate::redact(text), "{text}");
    }
}

/// Remembers each call.
#[derive(Clone, Default)]
struct Calls(Rc<RefCell<Vec<Vec<u8>>>>);

impl Write for Calls {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().push(bytes.to_vec());
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_line_is_passed_on_in_one_write() {
    let calls = Calls::default();
    let mut writer = RedactingWriter::new(calls.clone());
    writer.write_all(b"a clean line 12:30\n").unwrap();
    writer.write_all(b"4111111111111111 in one\nand two\n").unwrap();
    writer.write_all(b"4111 1111 ").unwrap();
    writer.write_all(b"1111 1111, cvc 123\n").unwrap();
    let expected: [&[u8]; 3] = [
        b"a clean line 12:30\n",
        b"************1111 in one\nand two\n",
        b"************1111, cvc [REDACTED_CVV]\n",
    ];
    assert_eq!(*calls.0.borrow(), expected);
    assert_eq!(writer.held(), 0);
}

#[test]
fn a_flush_passes_on_what_is_clear_and_leaks_no_beginning_of_a_number() {
    let calls = Calls::default();
    let mut writer = RedactingWriter::new(calls.clone());
    writer.write_all(b"[12:30] working ... 4111 1111").unwrap();
    writer.flush().unwrap();
    assert_eq!(calls.0.borrow().concat(), b"[12:30] working ... ");
    writer.write_all(b" 1111 1111").unwrap();
    writer.flush().unwrap();
    assert_eq!(calls.0.borrow().concat(), b"[12:30] working ... ");
    drop(writer);
    assert_eq!(calls.0.borrow().concat(), b"[12:30] working ... ************1111");
}

#[test]
fn the_strict_profile_finds_a_number_that_a_line_end_cuts() {
    let text = b"first line\nsecond 4111 1111\n1111 1111\nend\n";
    let pieces: Vec<&[u8]> = text.chunks(3).collect();
    let strict = Redactor::new().strict(true);
    assert_eq!(
        through(&pieces, true, strict),
        b"first line\nsecond ************1111\nend\n"
    );
    assert_eq!(
        through(&pieces, true, Redactor::new()),
        text,
        "no number goes on in the next line by default"
    );
}

/// Takes a few bytes at a time, and fails every so often.
struct Flaky<'s> {
    sink: &'s mut Vec<u8>,
    calls: usize,
    kind: io::ErrorKind,
}

impl Write for Flaky<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.calls += 1;
        if self.calls.is_multiple_of(3) {
            return Err(self.kind.into());
        }
        let count = bytes.len().min(5);
        self.sink.extend_from_slice(&bytes[..count]);
        Ok(count)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A caller that repeats what was not taken, as the contract of `Write` asks, loses nothing and doubles nothing.
#[test]
fn nothing_is_lost_when_the_inner_writer_fails() {
    let text = "a clean line\nthe card 4111 1111 1111 1111 and more\n4111111111111111 12/25 123 ".repeat(20);
    for kind in [
        io::ErrorKind::WouldBlock,
        io::ErrorKind::Interrupted,
        io::ErrorKind::StorageFull,
    ] {
        for size in [1, 7, 13, 50, 4096] {
            let mut sink = Vec::new();
            let mut writer = RedactingWriter::new(Flaky {
                sink: &mut sink,
                calls: 0,
                kind,
            });
            for piece in text.as_bytes().chunks(size) {
                let mut rest = piece;
                while !rest.is_empty() {
                    match writer.write(rest) {
                        Ok(taken) => rest = &rest[taken..],
                        Err(error) => assert_eq!(error.kind(), kind),
                    }
                }
            }
            while writer.finish().is_err() {}
            assert_eq!(writer.held(), 0);
            drop(writer);
            assert_eq!(
                String::from_utf8_lossy(&sink),
                crate::redact(&text),
                "{kind:?} in pieces of {size}"
            );
        }
    }
}

/// A line without an end is held in bounded memory, whatever it is made of, and no secret in it gets through.
#[test]
fn a_line_without_end_needs_bounded_memory() {
    let fillers = [
        "word ",
        "1 ",
        "1111 ",
        "7",
        "%20",
        "\\u0031",
        "cvv ",
        "{\"n\":1},",
        "\u{2003}",
        "B",
        "aGVsbG8",
        ";",
    ];
    for filler in fillers {
        let block = format!(
            "{} <4111111111111111> {}",
            filler.repeat(2000),
            filler.repeat(3000)
        );
        let mut sink = Vec::new();
        let mut writer = RedactingWriter::new(&mut sink);
        let mut most = 0;
        for _ in 0..30 {
            writer.write_all(block.as_bytes()).unwrap();
            most = most.max(writer.stream.held());
        }
        assert!(most <= 90_000, "{most} bytes held of {filler:?}");
        drop(writer);
        let out = String::from_utf8(sink).unwrap();
        assert_eq!(out.matches("<************1111>").count(), 30, "{filler:?}");
        assert_eq!(out, crate::redact(&block.repeat(30)), "{filler:?}");
    }
}

proptest! {
    /// However a text is cut, what comes out is what masking it at once gives.
    #[test]
    fn cuts_do_not_matter(
        text in "([0-9]{1,5}[ .,=:%-]|4111111111111111|cvv |card|\\n|[a-f]{1,4}|\u{ff11}|\u{e9}|\\\\u0034|\"|\\{|\\[){0,40}",
        cuts in prop::collection::vec(0usize..200, 0..6),
        flush: bool,
    ) {
        let bytes = text.as_bytes();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).chain([0, bytes.len()]).collect();
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        prop_assert_eq!(
            String::from_utf8_lossy(&through(&pieces, flush, Redactor::new())).into_owned(),
            crate::redact(&text).into_owned()
        );
    }
}
