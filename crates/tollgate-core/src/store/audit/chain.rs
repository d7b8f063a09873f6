//! The links, pure.

use super::{AuditEntry, LinkHash, Receipt};
use crate::clock::Timestamp;
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// The entry that follows `last`.
#[must_use]
pub fn next(chain: &str, last: Receipt, at: Timestamp, body: Arc<[u8]>) -> AuditEntry {
    let seq = last.seq.saturating_add(1);
    let hash = link(chain, last.hash, seq, at, &body);
    AuditEntry { seq, at, body, hash }
}

/// SHA-256 over chain name, hash before, number, time and bytes; each of a fixed width or behind its length.
fn link(chain: &str, before: LinkHash, seq: u64, at: Timestamp, body: &[u8]) -> LinkHash {
    let mut hash = Sha256::new();
    hash.update(b"tollgate/audit/1");
    hash.update(u64::try_from(chain.len()).unwrap_or(u64::MAX).to_be_bytes());
    hash.update(chain.as_bytes());
    hash.update(before.0);
    hash.update(seq.to_be_bytes());
    hash.update(at.unix_micros().to_be_bytes());
    hash.update(body);
    LinkHash(hash.finalize().into())
}

/// Where a chain is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Broken {
    /// An entry is missing or out of order.
    #[error("entry {expected} is missing: number {found} stands in its place")]
    Gap {
        /// Which was expected.
        expected: u64,
        /// Which stands there.
        found: u64,
    },
    /// An entry's bytes, time or predecessor were changed.
    #[error("entry {seq} was changed, or an entry before it was")]
    Changed {
        /// Which.
        seq: u64,
    },
    /// The chain ends before its anchor.
    #[error(
        "the chain ends at entry {found}, but a receipt for entry {anchored} exists: its end was cut off"
    )]
    CutOff {
        /// Where it ends.
        found: u64,
        /// Up to where it is known to have gone.
        anchored: u64,
    },
}

/// Verifies entries that follow `from`, and that the chain reaches `anchor`, if one is given. Gives the receipt of the last.
///
/// # Errors
/// The first place where it is broken.
///
/// ```
/// use tollgate_core::Timestamp;
/// use tollgate_core::store::audit::{Receipt, chain};
///
/// let first = chain::next("payments", Receipt::START, Timestamp::EPOCH, b"intent"[..].into());
/// let receipt = Receipt { seq: first.seq, hash: first.hash };
/// let second = chain::next("payments", receipt, Timestamp::EPOCH, b"outcome"[..].into());
/// let entries = [first.clone(), second];
/// assert!(chain::verify("payments", Receipt::START, &entries, None).is_ok());
///
/// let mut forged = entries;
/// forged[0].body = b"nothing"[..].into();
/// assert_eq!(chain::verify("payments", Receipt::START, &forged, None), Err(chain::Broken::Changed { seq: 1 }));
/// ```
pub fn verify<'e>(
    chain: &str,
    from: Receipt,
    entries: impl IntoIterator<Item = &'e AuditEntry>,
    anchor: Option<Receipt>,
) -> Result<Receipt, Broken> {
    let mut last = from;
    for entry in entries {
        let expected = last.seq.saturating_add(1);
        if entry.seq != expected {
            return Err(Broken::Gap {
                expected,
                found: entry.seq,
            });
        }
        let hash = link(chain, last.hash, entry.seq, entry.at, &entry.body);
        let anchored = anchor.filter(|anchor| anchor.seq == entry.seq);
        if hash != entry.hash || anchored.is_some_and(|anchor| anchor.hash != hash) {
            return Err(Broken::Changed { seq: entry.seq });
        }
        last = Receipt { seq: entry.seq, hash };
    }
    match anchor {
        Some(anchor) if anchor.seq > last.seq => Err(Broken::CutOff {
            found: last.seq,
            anchored: anchor.seq,
        }),
        _ => Ok(last),
    }
}
