//! The seal: what is opened is what was sealed, or nothing.

use super::entry::Entry;
use proptest::prelude::*;
use tollgate_core::store::idempotency::{Completion, Envelope, Fingerprint, RecordKey};
use tollgate_core::{Secret, Secrets, Timestamp};

const KEY: RecordKey = RecordKey::new([7; 32]);

fn secrets(byte: u8) -> Secrets {
    Secrets::new(&Secret::new(vec![byte; 32])).unwrap()
}

fn entry() -> impl Strategy<Value = Entry> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..400);
    let envelope = (
        any::<bool>(),
        any::<u16>(),
        proptest::option::of(bytes()),
        bytes(),
    );
    (
        any::<[u8; 32]>(),
        any::<i64>(),
        any::<bool>(),
        proptest::option::of(envelope),
    )
        .prop_map(|(fingerprint, until, executed, envelope)| Entry {
            fingerprint: Fingerprint::new(fingerprint),
            until: Timestamp::from_unix_micros(until),
            completion: Completion {
                executed,
                envelope: envelope.map(|(ok, status, head, body)| Envelope {
                    ok,
                    status,
                    head: head.map(Into::into),
                    body: body.into(),
                }),
            },
        })
}

proptest! {
    #[test]
    fn what_was_sealed_is_opened(entry in entry()) {
        let sealed = entry.seal(&KEY, &secrets(1));
        prop_assert_eq!(Entry::open(&sealed, &KEY, &secrets(1)), Some(entry));
    }

    /// Another key's entry, another deployment's, a damaged one, one that was cut off or added to: none is an answer.
    #[test]
    fn nothing_else_is_opened(entry in entry(), at in any::<prop::sample::Index>(), bit in 0u32..8, more in any::<u8>()) {
        let sealed = entry.seal(&KEY, &secrets(1));
        prop_assert_eq!(Entry::open(&sealed, &RecordKey::new([8; 32]), &secrets(1)), None);
        prop_assert_eq!(Entry::open(&sealed, &KEY, &secrets(2)), None);
        let at = at.index(sealed.len());
        let mut damaged = sealed.clone();
        damaged[at] ^= 1 << bit;
        prop_assert_eq!(Entry::open(&damaged, &KEY, &secrets(1)), None);
        prop_assert_eq!(Entry::open(&sealed[..at], &KEY, &secrets(1)), None);
        let longer = [&sealed[..], &[more]].concat();
        prop_assert_eq!(Entry::open(&longer, &KEY, &secrets(1)), None);
    }

    #[test]
    fn rubbish_is_nothing(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(Entry::open(&bytes, &KEY, &secrets(1)), None);
    }
}

/// The bytes of schema 1, as every later build has to read them.
#[test]
fn the_first_schema_stays_readable() {
    let entry = Entry {
        fingerprint: Fingerprint::new([1; 32]),
        until: Timestamp::from_unix_seconds(1_700_000_000),
        completion: Completion {
            executed: true,
            envelope: Some(Envelope {
                ok: true,
                status: 201,
                head: Some(b"location: /1"[..].into()),
                body: b"{}"[..].into(),
            }),
        },
    };
    // seal; schema; fingerprint; until; executed, with an envelope: ok, status, head, body
    let golden = concat!(
        "5cdfbfe7f975d6bb08c3bea510e46ed66a05d1a94ed42e8b5424e14cb7f1609e",
        "0001",
        "0101010101010101010101010101010101010101010101010101010101010101",
        "00060a24181e4000",
        "01",
        "01",
        "01",
        "00c9",
        "010c6c6f636174696f6e3a202f31",
        "027b7d",
    );
    let sealed = entry.seal(&KEY, &secrets(1));
    let hex: String = sealed.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, golden);
}
