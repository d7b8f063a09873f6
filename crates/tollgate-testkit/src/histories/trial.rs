//! A store in the hands of its test.

use std::fmt;
use std::future::{Future, ready};
use tollgate_core::Timestamp;

/// A store under test, and what only its test can do with it. What follows the clock by itself and has nothing to reopen needs no more
/// than [`Plain`].
///
/// ```
/// use tollgate_core::store::memory::MemoryDedup;
/// use tollgate_testkit::histories::{Histories, Trial};
///
/// /// A store that is asked through a handle, and the handle can be lost.
/// struct Reopened {
///     file: MemoryDedup,
///     handle: MemoryDedup,
/// }
///
/// impl Trial for Reopened {
///     type Store = MemoryDedup;
///
///     fn store(&self) -> &MemoryDedup {
///         &self.handle
///     }
///
///     async fn disturb(&mut self, _how: u8) {
///         self.handle = self.file.clone();
///     }
/// }
///
/// Histories::new().dedup(async |clock| {
///     let file = MemoryDedup::with(100, clock);
///     Reopened { handle: file.clone(), file }
/// });
/// ```
pub trait Trial {
    /// The store.
    type Store;

    /// The store that is asked.
    fn store(&self) -> &Self::Store;

    /// It is this late now: called before the first step, and whenever the clock has been moved. For stores whose clock is not in this
    /// process and has to be set (default: nothing, since the store asks the clock that it was made with).
    fn set_time(&mut self, now: Timestamp) -> impl Future<Output = ()> {
        let _ = now;
        ready(())
    }

    /// Something that must change nothing: a restart, a new connection, a cache that is lost. `how` is random, for trials that know
    /// several ways (default: nothing).
    fn disturb(&mut self, how: u8) -> impl Future<Output = ()> {
        let _ = how;
        ready(())
    }

    /// After every step: looks at what the store keeps beside its answers, an index or a copy, and panics when that does not agree with
    /// them (default: nothing to look at).
    fn inspect(&mut self) -> impl Future<Output = ()> {
        ready(())
    }
}

/// A store without peculiarities, whose time is the clock that it was made with.
#[derive(Clone, Copy)]
pub struct Plain<S>(
    /// The store.
    pub S,
);

impl<S> Trial for Plain<S> {
    type Store = S;

    fn store(&self) -> &S {
        &self.0
    }
}

impl<S: fmt::Debug> fmt::Debug for Plain<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Plain").field(&self.0).finish()
    }
}
