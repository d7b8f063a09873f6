//! What one reconciliation run leaves for the next: rows in transit.
//!
//! Two runs that overlap must not both take the same rows over, nor one write over what the other left. So what is left has a
//! version, and whoever replaces it says which version it has seen.

use super::StoreError;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

/// What a run left, in whatever form the caller stores it.
#[derive(Clone, PartialEq, Eq)]
pub struct Carried {
    /// Goes up by one at every replacement; the first is 1.
    pub version: u64,
    /// The caller's bytes.
    pub body: Arc<[u8]>,
}

/// Rows are business data: sizes only.
impl fmt::Debug for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Carried")
            .field("version", &self.version)
            .field("bytes", &self.body.len())
            .finish()
    }
}

/// The answer to a replacement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaced {
    /// Written, at this version. Also the answer to a repeat whose first answer was lost.
    Replaced {
        /// Which.
        version: u64,
    },
    /// Somebody else was faster: nothing was written.
    Stale {
        /// The version that is there; 0 when nothing is.
        version: u64,
    },
}

/// The port.
pub trait CarryOverStore: Send + Sync + 'static {
    /// How it answers.
    type Future<T: Send + 'static>: Future<Output = Result<T, StoreError>> + Send + Unpin + 'static;

    /// What the last run of this name left; `None` before the first.
    fn load(&self, run: &str) -> Self::Future<Option<Carried>>;

    /// Leaves this instead, if what is there is still of version `seen` (0: nothing), atomically.
    fn replace(&self, run: &str, seen: u64, body: Arc<[u8]>) -> Self::Future<Replaced>;
}

/// The rule: what to write, if anything, and the answer.
#[must_use]
pub fn replace(current: Option<&Carried>, seen: u64, body: &Arc<[u8]>) -> (Option<Carried>, Replaced) {
    let version = current.map_or(0, |carried| carried.version);
    if version == seen {
        let version = seen.saturating_add(1);
        let body = Arc::clone(body);
        return (Some(Carried { version, body }), Replaced::Replaced { version });
    }
    // the answer to an earlier try of the same replacement was lost
    match current {
        Some(carried) if Some(version) == seen.checked_add(1) && carried.body == *body => {
            (None, Replaced::Replaced { version })
        }
        _ => (None, Replaced::Stale { version }),
    }
}

/// A shared store is a store.
impl<S: CarryOverStore> CarryOverStore for Arc<S> {
    type Future<T: Send + 'static> = S::Future<T>;

    fn load(&self, run: &str) -> Self::Future<Option<Carried>> {
        (**self).load(run)
    }
    fn replace(&self, run: &str, seen: u64, body: Arc<[u8]>) -> Self::Future<Replaced> {
        (**self).replace(run, seen, body)
    }
}
