//! Values that must not be printed, and the keyed hashes that stand for them.

use crate::id::DownstreamKey;
use crate::store::idempotency::{Fingerprint, RecordKey, Tenant};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// A value that `Debug` and `Display` never print.
///
/// ```
/// use tollgate_core::Secret;
///
/// let secret = Secret::new("whsec_abc".to_owned());
/// assert_eq!(format!("{secret:?}"), "Secret(..)");
/// assert_eq!(secret.expose(), "whsec_abc");
/// ```
#[derive(Clone, Default)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Wraps a value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value. Reviewers can grep for every place that looks.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: AsRef<[u8]>> Secret<T> {
    /// Compares with bytes from outside in time that depends on lengths alone.
    pub fn constant_time_eq(&self, other: &[u8]) -> bool {
        self.0.as_ref().ct_eq(other).into()
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl<T> From<T> for Secret<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

/// A deployment secret shorter than 32 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the deployment secret has {length} bytes, at least 32 are needed: `openssl rand -hex 32` makes one")]
pub struct WeakSecret {
    /// How many bytes were given.
    pub length: usize,
}

/// HMAC-SHA-256 (RFC 2104, FIPS 180-4) with the pads absorbed once. Requests may hold card numbers, and HMAC is among the keyed hashes that
/// PCI's glossary names for those (PCI DSS 4, 3.5.1.1).
#[derive(Clone)]
pub(crate) struct Keyed(Hmac<Sha256>);

impl Keyed {
    pub(crate) fn new(secret: &[u8]) -> Self {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
        Self(Hmac::new_from_slice(secret).expect("any length"))
    }

    pub(crate) fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.0.clone();
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

/// The deployment secret, split into one sub-key per purpose.
///
/// Keys, payloads and tenants have little entropy (an amount, an order number), so what a store sees of them is
/// always keyed: without the secret nobody can guess a payload from its fingerprint. All processes that share a
/// store must share the secret; changing it makes every stored key unknown, so rotate it only together with the
/// store's retention.
///
/// Cloning is cheap. `Debug` prints nothing of it.
#[derive(Clone)]
pub struct Secrets(Arc<Subkeys>);

struct Subkeys {
    record: Keyed,
    fingerprint: Keyed,
    downstream: Keyed,
    label: Keyed,
}

impl Secrets {
    /// Derives the sub-keys.
    ///
    /// # Errors
    /// [`WeakSecret`] when fewer than 32 bytes are given.
    ///
    /// ```
    /// use tollgate_core::{Secret, Secrets};
    /// assert!(Secrets::new(&Secret::new(b"too short".to_vec())).is_err());
    /// assert!(Secrets::new(&Secret::new(vec![7; 32])).is_ok());
    /// ```
    pub fn new(secret: &Secret<Vec<u8>>) -> Result<Self, WeakSecret> {
        match secret.expose().len() {
            length @ ..32 => Err(WeakSecret { length }),
            _ => Ok(Self::derive(secret.expose())),
        }
    }

    /// Sub-keys of a secret that lives as long as this process. Only for stores that live no longer, and tests:
    /// after a restart no stored key is found again.
    ///
    /// # Panics
    /// If the operating system gives no randomness; nothing that guards money can work without.
    #[must_use]
    pub fn ephemeral() -> Self {
        let mut seed = [0; 32];
        #[expect(clippy::expect_used, reason = "stated in the documentation")]
        getrandom::fill(&mut seed).expect("the operating system gives no randomness");
        Self::derive(&seed)
    }

    fn derive(secret: &[u8]) -> Self {
        let root = Keyed::new(secret);
        let sub = |purpose: &str| Keyed::new(&root.mac(&[b"tollgate/1/", purpose.as_bytes()]));
        Self(Arc::new(Subkeys {
            record: sub("record"),
            fingerprint: sub("fingerprint"),
            downstream: sub("downstream"),
            label: sub("label"),
        }))
    }

    /// Names the record of a client's key within a scope (tenant and environment).
    #[must_use]
    pub fn record_key(&self, scope: &str, key: &str) -> RecordKey {
        RecordKey::new(
            self.0
                .record
                .mac(&[&length(scope), scope.as_bytes(), key.as_bytes()]),
        )
    }

    /// On whose account open outcomes of this scope are counted. [`Tenant::NONE`] for the empty scope, which costs nothing.
    #[must_use]
    pub fn tenant(&self, scope: &str) -> Tenant {
        if scope.is_empty() {
            return Tenant::NONE;
        }
        let hash = self.pseudonym("tenant", scope);
        Tenant(hash.first_chunk().copied().map_or(0, u64::from_be_bytes))
    }

    /// Fingerprints a request. `canonical` must be unambiguous: fixed widths or length prefixes, as
    /// [`Encoder`](crate::codec::Encoder) writes them.
    #[must_use]
    pub fn fingerprint(&self, canonical: &[&[u8]]) -> Fingerprint {
        Fingerprint::new(self.0.fingerprint.mac(canonical))
    }

    /// A keyed hash for anything else that names a person, a card or a merchant in a store, a label or a log.
    #[must_use]
    pub fn pseudonym(&self, purpose: &str, value: &str) -> [u8; 32] {
        self.0
            .label
            .mac(&[&length(purpose), purpose.as_bytes(), value.as_bytes()])
    }

    /// The key that all attempts under this record send to `peer`: what an outcome is looked up by when its answer was
    /// lost. The same as [`KeyInForce::downstream_key`](crate::context::KeyInForce::downstream_key) gave the call.
    #[must_use]
    pub fn downstream_key(&self, record: &RecordKey, peer: &str) -> DownstreamKey {
        self.downstream_key_of_part(record, "", peer)
    }

    /// As [`downstream_key`](Self::downstream_key), for one of several operations under the record: what the adapter got from
    /// [`KeyInForce::part`](crate::context::KeyInForce::part). An empty `part` is the whole.
    #[must_use]
    pub fn downstream_key_of_part(&self, record: &RecordKey, part: &str, peer: &str) -> DownstreamKey {
        let hash = match part {
            "" => self.0.downstream.mac(&[record.as_bytes(), peer.as_bytes()]),
            // the length at the end keeps `peer` and `part` apart from a longer peer's name
            part => {
                let parts = [record.as_bytes(), peer.as_bytes(), part.as_bytes(), &length(part)];
                self.0.downstream.mac(&parts)
            }
        };
        DownstreamKey::from_hash(&hash)
    }
}

pub(crate) fn length(text: &str) -> [u8; 8] {
    u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes()
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(..)")
    }
}
