//! Bytes in, bytes out.

use super::*;
use crate::codec::Recorded;
use crate::store::idempotency::seal::form::{open, seal};
use crate::store::memory::MemoryIdempotency;
use proptest::prelude::*;

fn envelopes() -> impl Strategy<Value = Envelope> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..300);
    (
        any::<bool>(),
        any::<u16>(),
        proptest::option::of(bytes()),
        bytes(),
    )
        .prop_map(|(ok, status, head, body)| Envelope {
            ok,
            status,
            head: head.map(Into::into),
            body: body.into(),
        })
}

fn size(envelope: &Envelope) -> usize {
    envelope.head.as_deref().map_or(0, <[u8]>::len) + envelope.body.len()
}

proptest! {
    /// What was sealed opens, byte for byte, and no longer than it is allowed to be.
    #[test]
    fn what_was_sealed_opens(plain in envelopes(), executed: bool, name in "[a-zA-Z0-9._-]{1,32}") {
        let ring = ring(&name, 7);
        let sealed = seal(&ring, &record(1), executed, &plain).unwrap();
        prop_assert_eq!(open(&ring, &record(1), executed, &sealed).unwrap(), plain.clone());
        prop_assert!(size(&sealed) <= size(&plain) + OVERHEAD);
    }

    /// A settlement that is repeated must be recognised, and two records must never share a nonce.
    #[test]
    fn one_answer_of_one_record_has_one_form(plain in envelopes(), executed: bool) {
        let ring = ring("a", 7);
        let sealed = seal(&ring, &record(1), executed, &plain).unwrap();
        prop_assert_eq!(&seal(&ring, &record(1), executed, &plain).unwrap(), &sealed);
        let nonce = |sealed: &Envelope| sealed.body[4..28].to_vec();
        let other = [
            seal(&ring, &record(2), executed, &plain).unwrap(),
            seal(&ring, &record(1), !executed, &plain).unwrap(),
            seal(&ring, &record(1), executed, &Envelope { ok: !plain.ok, ..plain.clone() }).unwrap(),
            seal(&ring, &record(1), executed, &Envelope { status: !plain.status, ..plain.clone() }).unwrap(),
            seal(&ring, &record(1), executed, &Envelope { body: [&*plain.body, b"."].concat().into(), ..plain }).unwrap(),
        ];
        for other in other {
            prop_assert_ne!(nonce(&other), nonce(&sealed));
        }
    }

    /// Moving a byte over the border of head and body is another answer.
    #[test]
    fn head_and_body_do_not_flow_together(bytes in proptest::collection::vec(any::<u8>(), 1..40), at: proptest::sample::Index) {
        let ring = ring("a", 7);
        let (head, body) = bytes.split_at(at.index(bytes.len()));
        let cut = Envelope { head: Some(head.into()), body: body.into(), ..Envelope::default() };
        let whole = Envelope { head: None, body: bytes.into(), ..Envelope::default() };
        prop_assert_ne!(
            seal(&ring, &record(1), true, &cut).unwrap().body,
            seal(&ring, &record(1), true, &whole).unwrap().body
        );
    }

    /// Whatever stands in a row, opening it gives what was sealed or an error: no panic, no other answer.
    #[test]
    fn nothing_else_opens(head in proptest::option::of(Just(b"\0tollgate/sealed".to_vec())), body: Vec<u8>, form: bool) {
        let ring = ring("a", 7);
        let body = if form { [&[0xff, 1, 1, b'a'][..], &body].concat() } else { body };
        let stored = Envelope { head: head.map(Into::into), body: body.into(), ..Envelope::default() };
        prop_assert!(open(&ring, &record(1), true, &stored).is_err());
    }
}

#[test]
fn the_overhead_is_exact_for_the_longest_name() {
    let sealed = seal(
        &ring(&"x".repeat(KeyId::LIMIT), 7),
        &record(1),
        true,
        &answer(b"pay_1"),
    )
    .unwrap();
    assert_eq!(size(&sealed), size(&answer(b"pay_1")) + OVERHEAD);
}

#[test]
fn every_changed_bit_and_every_cut_is_noticed() {
    let ring = ring("2026-11", 7);
    let sealed = seal(&ring, &record(1), true, &answer(b"pay_1")).unwrap();
    for at in 0..sealed.body.len() {
        for bit in 0..8 {
            let mut body = sealed.body.to_vec();
            body[at] ^= 1 << bit;
            let changed = Envelope {
                body: body.into(),
                ..sealed.clone()
            };
            assert!(
                open(&ring, &record(1), true, &changed).is_err(),
                "byte {at}, bit {bit}"
            );
        }
        let cut = Envelope {
            body: sealed.body[..at].into(),
            ..sealed.clone()
        };
        assert!(open(&ring, &record(1), true, &cut).is_err(), "cut at {at}");
    }
}

/// What stands in the clear is bound all the same.
#[test]
fn outcome_status_and_record_cannot_be_swapped() {
    let ring = ring("a", 7);
    let sealed = seal(&ring, &record(1), true, &answer(b"pay_1")).unwrap();
    let refused = Err(Unopened::Refused(KeyId::new("a").unwrap()));
    assert_eq!(
        open(&ring, &record(2), true, &sealed),
        refused,
        "another record's answer"
    );
    assert_eq!(
        open(&ring, &record(1), false, &sealed),
        refused,
        "a decline made of it"
    );
    let error = Envelope {
        ok: false,
        ..sealed.clone()
    };
    assert_eq!(open(&ring, &record(1), true, &error), refused);
    let other_status = Envelope {
        status: 402,
        ..sealed
    };
    assert_eq!(open(&ring, &record(1), true, &other_status), refused);
}

/// The form of version 1, for good: rows written today must open after any update.
#[test]
fn the_form_is_what_it_was() {
    let ring = ring("2026-11", 7);
    let sealed = seal(&ring, &record(1), true, &answer(b"pay_1")).unwrap();
    assert_eq!(sealed.head.as_deref(), Some(&b"\0tollgate/sealed"[..]));
    assert_eq!(crate::id::hex(&sealed.body), GOLDEN);
}

// computed by a second implementation, written from the description in the module
const GOLDEN: &str = "ff0107323032362d31313a6c2bdff85e8d8819175a82411d2a094a38dd692da17b4c305c9ac5a03752012553afe730a9ebe7879b91ea76ce4a950c729f16a307bd1f26090dc0511e4ee8e9c31c09c350c8c07d5436f5b3de";

/// A build that has lost its keyring says "not replayable".
#[test]
fn without_a_keyring_nothing_is_taken_for_an_answer() {
    let sealed = seal(&ring("a", 7), &record(1), true, &answer(b"pay_1")).unwrap();
    assert!(<()>::from_recorded(&sealed.body).is_none());
    assert!(crate::PaymentError::from_recorded(&sealed.body).is_none());
    assert!(crate::gateway::Payment::from_recorded(&sealed.body).is_none());
    // a list of headers is made of names behind their lengths, and no name is empty
    assert_eq!(sealed.head.unwrap()[0], 0);
}

#[test]
fn bad_keys_are_refused_and_secrets_never_shown() {
    let weak = Keyring::new("a", &Secret::new(vec![7; 31])).unwrap_err();
    assert_eq!(
        weak,
        BadKey::Weak {
            id: KeyId::new("a").unwrap(),
            length: 31
        }
    );
    let long = "x".repeat(33);
    for name in ["", "with space", "ü", "a/b", "a\n", &long] {
        assert_eq!(
            Keyring::new(name, &secret(7)).unwrap_err(),
            BadKey::Name,
            "{name:?}"
        );
    }
    let twice = ring("a", 7).opening("a", &secret(8)).unwrap_err();
    assert_eq!(twice.to_string(), "there are two sealing keys named `a`");

    let hidden = Secret::new(b"correct horse battery staple, or so".to_vec());
    let ring = Keyring::new("a", &hidden).unwrap().opening("b", &hidden).unwrap();
    let shown = format!("{:?}", Sealed::new(MemoryIdempotency::new(), ring));
    assert!(
        shown.contains("KeyId(a)") && !shown.contains("horse") && !shown.contains("99, 111"),
        "{shown}"
    );
}
