//! The sealed form, pure: an answer and a key to bytes, and back.
//!
//! ```text
//! head  "\0tollgate/sealed"                       no list of headers starts with an empty name
//! body  ff 01 │ length, key's name │ nonce (24) │ ciphertext of head and body │ tag (16)
//!
//! cipher key = HMAC-SHA-256(secret, "tollgate/seal/1/cipher")      nonce key = HMAC-SHA-256(secret, "tollgate/seal/1/nonce")
//! bound      = "tollgate/seal/1" │ record's key (32) │ executed (1) │ ok (1) │ status (2) │ length (1), body up to the key's name
//! content    = 00 │ body   or   01 │ length (8) │ head │ body
//! nonce      = HMAC-SHA-256(nonce key, bound │ content), its first 24 bytes
//! ciphertext, tag = XChaCha20-Poly1305(cipher key, nonce, associated data: bound, content)
//! ```
//!
//! Numbers are big-endian.

use super::keyring::{KeyId, Keyring};
use crate::codec::Encoder;
use crate::store::idempotency::{Envelope, RecordKey};
use crate::store::{StoreError, StoreErrorKind};
use chacha20poly1305::{AeadInOut, Tag, XNonce};
use std::sync::{Arc, LazyLock};

/// What a sealed answer has for a head.
static MARK: LazyLock<Arc<[u8]>> = LazyLock::new(|| (*b"\0tollgate/sealed").into());

/// The form's version. Read as a schema number it is higher than any of ours, so that a build without a keyring refuses it.
const FORM: [u8; 2] = [0xff, 1];
const NONCE: usize = 24;
const TAG: usize = 16;

/// By how many bytes a sealed answer is longer at most, head and body taken together. Limits on bodies count what the caller sees; a limit
/// of the database must leave this much room.
pub const OVERHEAD: usize = 16 // the mark
    + FORM.len() + 1 + KeyId::LIMIT + NONCE + TAG
    + 9; // whether there was a head, and its length

/// Why a stored answer does not open. The source of the [`StoreError`] that tells of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unopened {
    /// It was never sealed.
    #[error(
        "the stored answer is not sealed: it was written before sealing was switched on (`Sealed::accept_plain` reads such answers \
         for as long as they are kept), or somebody changed the row"
    )]
    Plain,
    /// It is marked as sealed and has not the form of it.
    #[error(
        "the stored answer is marked as sealed and cannot be read: a newer version wrote it, or the row was damaged; \
         run the version that wrote it, or restore the row"
    )]
    Malformed,
    /// The ring does not hold its key.
    #[error(
        "the stored answer is sealed with key `{0}`, which this keyring does not hold: add it with `Keyring::opening`"
    )]
    UnknownKey(KeyId),
    /// It is not what was sealed under this name for this record.
    #[error(
        "the stored answer does not open with key `{0}`: the row was changed or copied from another record, or the keyring holds \
         another secret under that name; restore the row, or the secret"
    )]
    Refused(KeyId),
}

impl Unopened {
    pub(super) fn at(self, record: &RecordKey) -> StoreError {
        StoreError::new(StoreErrorKind::Unreadable, format!("{record:?}: {self}")).with_source(self)
    }
}

/// Seals an answer with the ring's sealing key. The same answer of the same record has the same form, always.
pub(super) fn seal(
    ring: &Keyring,
    record: &RecordKey,
    executed: bool,
    plain: &Envelope,
) -> Result<Envelope, StoreError> {
    let key = &ring.sealing;
    let head_length = plain.head.as_deref().map_or(0, <[u8]>::len);
    let mut body = Vec::with_capacity(OVERHEAD + head_length + plain.body.len());
    body.extend_from_slice(&FORM);
    body.push(u8::try_from(key.id.as_str().len()).unwrap_or(u8::MAX)); // 32 at most
    body.extend_from_slice(key.id.as_str().as_bytes());
    let bound = bound(record, executed, plain, &body);
    let nonce_at = body.len();
    body.extend_from_slice(&[0; NONCE]);
    let content_at = body.len();
    write_content(&mut body, plain);
    // synthetic: see the module
    let hash = key.nonces.mac(&[bound.as_bytes(), &body[content_at..]]);
    body[nonce_at..content_at].copy_from_slice(&hash[..NONCE]);
    let nonce = nonce_of(&hash);
    let tag = key
        .cipher
        .encrypt_inout_detached(&nonce, bound.as_bytes(), (&mut body[content_at..]).into())
        .map_err(|_| StoreError::new(StoreErrorKind::Unsupported, "the answer is too long to be sealed"))?;
    body.extend_from_slice(&tag);
    Ok(Envelope {
        ok: plain.ok,
        status: plain.status,
        head: Some(Arc::clone(&MARK)),
        body: body.into(),
    })
}

/// Whether this is a sealed answer. Nothing of ours writes a plain one that looks like it.
pub(super) fn is_sealed(stored: &Envelope) -> bool {
    stored.head.as_deref() == Some(&**MARK)
}

/// Opens a sealed answer.
pub(super) fn open(
    ring: &Keyring,
    record: &RecordKey,
    executed: bool,
    sealed: &Envelope,
) -> Result<Envelope, Unopened> {
    if !is_sealed(sealed) {
        return Err(Unopened::Plain);
    }
    let Parts {
        header,
        id,
        nonce,
        content,
        tag,
    } = take_apart(&sealed.body).ok_or(Unopened::Malformed)?;
    let key = ring
        .find(id.as_str())
        .ok_or_else(|| Unopened::UnknownKey(id.clone()))?;
    let bound = bound(record, executed, sealed, header);
    let mut content = content.to_vec();
    key.cipher
        .decrypt_inout_detached(&nonce, bound.as_bytes(), content.as_mut_slice().into(), &tag)
        .map_err(|_| Unopened::Refused(id.clone()))?;
    let (head, body) = read_content(&content).ok_or(Unopened::Refused(id))?;
    Ok(Envelope {
        ok: sealed.ok,
        status: sealed.status,
        head,
        body,
    })
}

/// What must not be swapped: which record, how it ended, and by which key in which form.
fn bound(record: &RecordKey, executed: bool, envelope: &Envelope, header: &[u8]) -> Encoder {
    let mut bound = Encoder::new();
    bound
        .raw(b"tollgate/seal/1")
        .raw(record.as_bytes())
        .byte(executed.into())
        .byte(envelope.ok.into())
        .raw(&envelope.status.to_be_bytes())
        .bytes(header);
    bound
}

fn nonce_of(hash: &[u8]) -> XNonce {
    let mut nonce = XNonce::default();
    nonce.copy_from_slice(&hash[..NONCE]);
    nonce
}

struct Parts<'b> {
    /// Form and name: what is bound.
    header: &'b [u8],
    id: KeyId,
    nonce: XNonce,
    content: &'b [u8],
    tag: Tag,
}

fn take_apart(body: &[u8]) -> Option<Parts<'_>> {
    let rest = body.strip_prefix(&FORM)?;
    let (length, rest) = rest.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(*length))?;
    let id = KeyId::new(std::str::from_utf8(name).ok()?).ok()?;
    let (nonce, rest) = rest.split_at_checked(NONCE)?;
    let (content, tag_bytes) = rest.split_at_checked(rest.len().checked_sub(TAG)?)?;
    let mut tag = Tag::default();
    tag.copy_from_slice(tag_bytes);
    Some(Parts {
        header: &body[..FORM.len() + 1 + name.len()],
        id,
        nonce: nonce_of(nonce),
        content,
        tag,
    })
}

fn write_content(out: &mut Vec<u8>, plain: &Envelope) {
    match plain.head.as_deref() {
        None => out.push(0),
        Some(head) => {
            out.push(1);
            out.extend_from_slice(&u64::try_from(head.len()).unwrap_or(u64::MAX).to_be_bytes());
            out.extend_from_slice(head);
        }
    }
    out.extend_from_slice(&plain.body);
}

type Content = (Option<Arc<[u8]>>, Arc<[u8]>);

fn read_content(content: &[u8]) -> Option<Content> {
    match content.split_first()? {
        (0, body) => Some((None, body.into())),
        (1, rest) => {
            let (length, rest) = rest.split_first_chunk::<8>()?;
            let length = usize::try_from(u64::from_be_bytes(*length)).ok()?;
            let (head, body) = rest.split_at_checked(length)?;
            Some((Some(head.into()), body.into()))
        }
        _ => None,
    }
}
