//! The keys: one that seals, any number that open.

use crate::secret::{Keyed, Secret};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use std::fmt;
use std::sync::Arc;

/// Names a sealing key, in rows, errors and logs: 1 to 32 letters, digits, dots, dashes and underscores. Best the day it was made.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(Arc<str>);

impl KeyId {
    /// How long it may be, in bytes.
    pub const LIMIT: usize = 32;

    /// Checks and takes it.
    ///
    /// # Errors
    /// [`BadKey::Name`] when it is empty, too long, or holds another character.
    pub fn new(name: &str) -> Result<Self, BadKey> {
        let known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
        if (1..=Self::LIMIT).contains(&name.len()) && name.bytes().all(known) {
            Ok(Self(name.into()))
        } else {
            Err(BadKey::Name)
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({})", self.0)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A key that cannot be taken into a ring.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadKey {
    /// Its name would not be readable in rows and logs.
    #[error(
        "a sealing key's name has 1 to {limit} letters, digits, dots, dashes and underscores",
        limit = KeyId::LIMIT
    )]
    Name,
    /// It could be guessed.
    #[error(
        "sealing key `{id}` has {length} bytes, at least 32 are needed: `openssl rand -hex 32` makes one"
    )]
    Weak {
        /// Which.
        id: KeyId,
        /// How many bytes were given.
        length: usize,
    },
    /// Two keys cannot have one name: rows name their key.
    #[error("there are two sealing keys named `{0}`")]
    Twice(KeyId),
}

/// One key, split into one sub-key per purpose.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) id: KeyId,
    pub(super) cipher: XChaCha20Poly1305,
    /// Makes nonces.
    pub(super) nonces: Keyed,
}

impl Key {
    fn new(id: &str, secret: &Secret<Vec<u8>>) -> Result<Self, BadKey> {
        let id = KeyId::new(id)?;
        let length = secret.expose().len();
        if length < 32 {
            return Err(BadKey::Weak { id, length });
        }
        let root = Keyed::new(secret.expose());
        Ok(Self {
            id,
            cipher: XChaCha20Poly1305::new(&root.mac(&[b"tollgate/seal/1/cipher"]).into()),
            nonces: Keyed::new(&root.mac(&[b"tollgate/seal/1/nonce"])),
        })
    }
}

/// The key that seals, and those that only open what was sealed before. `Debug` prints names and nothing else.
///
/// Use secrets of their own here, not the one of [`Secrets`](crate::Secrets): that one cannot be changed without making every stored
/// key unknown; these can, as often as you like.
///
/// ```
/// use tollgate_core::Secret;
/// use tollgate_core::store::idempotency::seal::{BadKey, Keyring};
///
/// let (new, old) = (Secret::new(vec![1; 32]), Secret::new(vec![2; 32]));
/// let ring = Keyring::new("2026-11", &new)?.opening("2026-05", &old)?;
/// assert_eq!(format!("{ring:?}"), "Keyring { seals: KeyId(2026-11), opens: [KeyId(2026-05)] }");
/// assert!(Keyring::new("2026-11", &Secret::new(b"too short".to_vec())).is_err());
/// # Ok::<(), BadKey>(())
/// ```
#[derive(Clone)]
pub struct Keyring {
    pub(super) sealing: Key,
    opening: Vec<Key>,
}

impl Keyring {
    /// A ring whose one key seals and opens: its name, and at least 32 bytes that nobody can guess.
    ///
    /// # Errors
    /// [`BadKey`].
    pub fn new(id: &str, secret: &Secret<Vec<u8>>) -> Result<Self, BadKey> {
        Ok(Self {
            sealing: Key::new(id, secret)?,
            opening: Vec::new(),
        })
    }

    /// Adds a key that only opens (default: none): an older one until its answers are forgotten, or a new one before every process
    /// knows it.
    ///
    /// # Errors
    /// [`BadKey`], also when the ring holds a key of this name already.
    pub fn opening(mut self, id: &str, secret: &Secret<Vec<u8>>) -> Result<Self, BadKey> {
        let key = Key::new(id, secret)?;
        if self.find(key.id.as_str()).is_some() {
            return Err(BadKey::Twice(key.id));
        }
        self.opening.push(key);
        Ok(self)
    }

    /// The name of the key that seals.
    #[must_use]
    pub const fn seals(&self) -> &KeyId {
        &self.sealing.id
    }

    pub(super) fn find(&self, id: &str) -> Option<&Key> {
        std::iter::once(&self.sealing)
            .chain(&self.opening)
            .find(|key| key.id.as_str() == id)
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let opens: Vec<_> = self.opening.iter().map(|key| &key.id).collect();
        f.debug_struct("Keyring")
            .field("seals", &self.sealing.id)
            .field("opens", &opens)
            .finish()
    }
}
