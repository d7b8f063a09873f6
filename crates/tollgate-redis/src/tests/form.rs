//! The form of what is stored: everything comes back as it was, and only equal answers are equal byte for byte.

use crate::record::{answer, completion};
use proptest::prelude::*;
use tollgate_core::store::idempotency::{Completion, Envelope};

fn any_completion() -> impl Strategy<Value = Completion> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..40);
    let head = proptest::option::of(bytes());
    let envelope =
        (any::<bool>(), any::<u16>(), head, bytes()).prop_map(|(ok, status, head, body)| Envelope {
            ok,
            status,
            head: head.map(Into::into),
            body: body.into(),
        });
    (any::<bool>(), proptest::option::of(envelope))
        .prop_map(|(executed, envelope)| Completion { executed, envelope })
}

proptest! {
    #[test]
    fn an_answer_comes_back_as_it_was(one in any_completion(), other in any_completion()) {
        prop_assert_eq!(completion(&answer(Some(&one))).unwrap(), Some(one.clone()));
        prop_assert_eq!(answer(Some(&one)) == answer(Some(&other)), one == other);
    }

    #[test]
    fn a_part_of_an_answer_is_not_one(one in any_completion(), end in any::<prop::sample::Index>()) {
        let whole = answer(Some(&one));
        prop_assert!(completion(&whole[..end.index(whole.len())]).is_err());
    }
}

#[test]
fn no_answer_is_none() {
    assert_eq!(completion(&answer(None)).unwrap(), None);
}

/// The parts are told apart by their sizes, so what they contain does not matter.
#[test]
fn a_head_that_is_empty_is_not_one_that_is_absent() {
    let with = |head: Option<&[u8]>| {
        let (ok, status, head) = (true, 200, head.map(Into::into));
        let body = b"x".as_slice().into();
        let envelope = Some(Envelope {
            ok,
            status,
            head,
            body,
        });
        answer(Some(&Completion {
            executed: true,
            envelope,
        }))
    };
    assert_ne!(with(None), with(Some(b"")));
}
