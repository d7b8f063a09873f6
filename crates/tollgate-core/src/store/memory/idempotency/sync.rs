//! The lock of this store: `std`'s, and `loom`'s where `orders` plays every order of it.

#[cfg(all(test, tollgate_loom))]
pub(super) use loom::sync::{Mutex, MutexGuard};
#[cfg(not(all(test, tollgate_loom)))]
pub(super) use std::sync::{Mutex, MutexGuard};

/// How many locks share the records. `loom` follows each of them, and two are enough for keys that share one and keys that do not.
pub(super) const SHARDS: usize = if cfg!(all(test, tollgate_loom)) { 2 } else { 64 };
