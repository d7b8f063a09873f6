//! What the tests ask: a begin, an answer.

use std::time::Duration;
use tollgate_core::store::idempotency::{Begin, RecordKey, Settlement};
use tollgate_testkit::samples;

pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// A begin that arms, without a cap. What a test is about, it says otherwise.
pub(crate) fn begin(key: u32) -> Begin {
    let mut name = [0; 32];
    name[..4].copy_from_slice(&key.to_be_bytes());
    Begin {
        lease: HOUR,
        ..samples::begin(RecordKey::new(name), 7)
    }
}

/// An answer of so many bytes.
pub(crate) fn answer(bytes: usize) -> Settlement {
    Settlement::Completed(samples::completion(&vec![7; bytes]))
}
