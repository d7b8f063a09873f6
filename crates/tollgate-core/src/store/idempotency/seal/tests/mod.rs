//! The form by itself, and rows that are sealed.

mod form;
mod rows;

use super::*;
use crate::Secret;
use crate::store::idempotency::{Envelope, RecordKey};

fn secret(byte: u8) -> Secret<Vec<u8>> {
    Secret::new(vec![byte; 32])
}

fn ring(id: &str, byte: u8) -> Keyring {
    Keyring::new(id, &secret(byte)).unwrap()
}

fn record(byte: u8) -> RecordKey {
    RecordKey::new([byte; 32])
}

fn answer(body: &[u8]) -> Envelope {
    Envelope {
        ok: true,
        status: 201,
        head: Some((*b"\x0ccontent-type\x0atext/plain").into()),
        body: body.into(),
    }
}
