//! The locks of stores that have several: `std`'s, and `loom`'s where `orders` plays every order of them.

#[cfg(all(test, tollgate_loom))]
pub(super) use loom::sync::{Mutex, MutexGuard};
#[cfg(not(all(test, tollgate_loom)))]
pub(super) use std::sync::{Mutex, MutexGuard};

/// How many locks share the keys. `loom` follows each of them, and two are enough for keys that share one and keys that do not.
pub(super) const fn shards(usual: usize) -> usize {
    if cfg!(all(test, tollgate_loom)) { 2 } else { usual }
}
