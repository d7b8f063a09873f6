//! What stands in the cache under a key, and its seal.

use tollgate_core::codec::{Decoder, Encoder, Recorded};
use tollgate_core::store::idempotency::{Completion, Envelope, Fingerprint, RecordKey};
use tollgate_core::{Secret, Secrets, Timestamp};

/// A final answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// What the key was begun for.
    pub(super) fingerprint: Fingerprint,
    /// When it is as good as none, by the cache's clock. The key's time to live is not trusted with that: an operator can take it
    /// away (`PERSIST`), and a restored snapshot brings old keys back.
    pub(super) until: Timestamp,
    pub(super) completion: Completion,
}

const SEAL: usize = 32;

impl Entry {
    /// The bytes to keep: the entry behind its seal.
    pub(super) fn seal(&self, key: &RecordKey, secrets: &Secrets) -> Vec<u8> {
        let entry = self.to_recorded();
        [&seal(key, entry.as_bytes(), secrets)[..], entry.as_bytes()].concat()
    }

    /// The entry, if these bytes are one of ours and of this key.
    pub(super) fn open(bytes: &[u8], key: &RecordKey, secrets: &Secrets) -> Option<Self> {
        let (found, entry) = bytes.split_first_chunk::<SEAL>()?;
        Secret::new(seal(key, entry, secrets))
            .constant_time_eq(found)
            .then(|| Self::from_recorded(entry))?
    }
}

/// A keyed hash over purpose, key and entry: who can write to the cache still cannot answer for the store.
fn seal(key: &RecordKey, entry: &[u8], secrets: &Secrets) -> [u8; SEAL] {
    let mut purpose = Encoder::new();
    purpose.text("tollgate/completed-cache").raw(key.as_bytes());
    *secrets.fingerprint(&[purpose.as_bytes(), entry]).as_bytes()
}

impl Recorded for Entry {
    const SCHEMA: u16 = 1;

    fn encode(&self, out: &mut Encoder) {
        out.raw(self.fingerprint.as_bytes())
            .int(self.until.unix_micros())
            .byte(self.completion.executed.into());
        let Some(envelope) = &self.completion.envelope else {
            out.byte(0);
            return;
        };
        out.byte(1)
            .byte(envelope.ok.into())
            .raw(&envelope.status.to_be_bytes());
        match &envelope.head {
            None => out.byte(0),
            Some(head) => out.byte(1).bytes(head),
        };
        out.bytes(&envelope.body);
    }

    fn decode(schema: u16, bytes: &mut Decoder<'_>) -> Option<Self> {
        if schema != Self::SCHEMA {
            return None;
        }
        Some(Self {
            fingerprint: Fingerprint::new(bytes.raw()?),
            until: Timestamp::from_unix_micros(bytes.int()?),
            completion: Completion {
                executed: flag(bytes)?,
                envelope: if flag(bytes)? {
                    Some(envelope(bytes)?)
                } else {
                    None
                },
            },
        })
    }
}

fn envelope(bytes: &mut Decoder<'_>) -> Option<Envelope> {
    Some(Envelope {
        ok: flag(bytes)?,
        status: u16::from_be_bytes(bytes.raw()?),
        head: if flag(bytes)? {
            Some(bytes.bytes()?.into())
        } else {
            None
        },
        body: bytes.bytes()?.into(),
    })
}

fn flag(bytes: &mut Decoder<'_>) -> Option<bool> {
    match bytes.byte()? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}
