//! What the tests ask: a begin, a claim, an answer.

use std::time::Duration;
use tollgate_core::store::idempotency::{
    Begin, Begun, Completion, Envelope, Fingerprint, IdempotencyStore, Owner, RecordKey, Settlement, Tenant,
    Token,
};

pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// A begin that arms, without a cap. What a test is about, it says otherwise.
pub(crate) fn begin(key: u32) -> Begin {
    let mut name = [0; 32];
    name[..4].copy_from_slice(&key.to_be_bytes());
    Begin {
        key: RecordKey::new(name),
        fingerprint: Fingerprint::new([1; 32]),
        owner: Owner(7),
        lease: HOUR,
        retention: HOUR,
        arm: true,
        tenant: Tenant::NONE,
        most_open: u32::MAX,
    }
}

pub(crate) async fn claim(store: &impl IdempotencyStore, begin: Begin) -> Token {
    match store.begin(begin).await.unwrap() {
        Begun::Acquired(token) => token,
        other => panic!("the key is free, but {other:?}"),
    }
}

/// An answer of so many bytes.
pub(crate) fn answer(bytes: usize) -> Settlement {
    Settlement::Completed(Completion {
        executed: true,
        envelope: Some(Envelope {
            ok: true,
            status: 201,
            head: None,
            body: vec![7; bytes].into(),
        }),
    })
}
