//! What was tried and how it ended, in a chain that cannot be changed unnoticed.
//!
//! A chain is named, its entries are numbered without gaps, and each entry's hash covers its bytes *as they were written* and
//! the hash before it. Whoever keeps one receipt outside can prove that nothing before it was changed, left out or reordered:
//! [`chain::verify`].

pub mod chain;
#[cfg(test)]
mod tests;

use super::StoreError;
use crate::clock::Timestamp;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

/// A link's hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LinkHash(pub [u8; 32]);

impl LinkHash {
    /// What the first link links to.
    pub const START: Self = Self([0; 32]);

    /// As 64 hex digits.
    #[must_use]
    pub fn to_hex(self) -> String {
        crate::id::hex(&self.0)
    }
}

impl fmt::Debug for LinkHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

/// Says that an entry stands, and where. Kept outside, it anchors everything before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Which entry; the first is 1.
    pub seq: u64,
    /// Its hash.
    pub hash: LinkHash,
}

impl Receipt {
    /// Before the first entry.
    pub const START: Self = Self {
        seq: 0,
        hash: LinkHash::START,
    };
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its number.
    pub seq: u64,
    /// When the store took it.
    pub at: Timestamp,
    /// Its bytes, as they were hashed.
    pub body: Arc<[u8]>,
    /// Its hash.
    pub hash: LinkHash,
}

/// The port.
pub trait AuditStore: Send + Sync + 'static {
    /// How it answers.
    type Future<T: Send + 'static>: Future<Output = Result<T, StoreError>> + Send + Unpin + 'static;

    /// Appends an entry and links it, atomically. Durable stores answer once it is.
    fn append(&self, chain: &str, body: Arc<[u8]>) -> Self::Future<Receipt>;

    /// The last entry's receipt; [`Receipt::START`] for an empty chain.
    fn head(&self, chain: &str) -> Self::Future<Receipt>;

    /// Up to `limit` entries after number `after`, in order.
    fn read(&self, chain: &str, after: u64, limit: u32) -> Self::Future<Vec<AuditEntry>>;
}

/// A shared store is a store.
impl<S: AuditStore> AuditStore for Arc<S> {
    type Future<T: Send + 'static> = S::Future<T>;

    fn append(&self, chain: &str, body: Arc<[u8]>) -> Self::Future<Receipt> {
        (**self).append(chain, body)
    }
    fn head(&self, chain: &str) -> Self::Future<Receipt> {
        (**self).head(chain)
    }
    fn read(&self, chain: &str, after: u64, limit: u32) -> Self::Future<Vec<AuditEntry>> {
        (**self).read(chain, after, limit)
    }
}
