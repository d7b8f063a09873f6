//! A store chosen at run time.

use super::{
    Begin, Begun, Held, IdempotencyStore, Record, RecordKey, Resolve, Resolved, Settled, Settlement, Token,
    Unresolved,
};
use crate::clock::Timestamp;
use crate::store::{Boxed, Capabilities};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Any idempotency store behind one type, for stores that are chosen at run time. Costs one allocation per step.
///
/// ```
/// use tollgate_core::store::idempotency::BoxedIdempotencyStore;
/// use tollgate_core::store::memory::MemoryIdempotency;
///
/// let store = BoxedIdempotencyStore::new(MemoryIdempotency::new());
/// # let _ = store;
/// ```
#[derive(Clone)]
pub struct BoxedIdempotencyStore(Arc<dyn Erased>);

impl BoxedIdempotencyStore {
    /// Erases the store's type.
    pub fn new(store: impl IdempotencyStore) -> Self {
        Self(Arc::new(store))
    }
}

impl fmt::Debug for BoxedIdempotencyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoxedIdempotencyStore")
            .field("capabilities", &self.0.capabilities())
            .finish()
    }
}

macro_rules! mirror {
    ($($method:ident as $erased:ident($($argument:ident: $type:ty),*) -> $answer:ty;)+) => {
        /// The port without its associated type. Private, and with names of its own: two traits with the same method
        /// names in scope would make `.begin()` ambiguous.
        trait Erased: Send + Sync {
            fn capabilities(&self) -> Capabilities;
            fn erased_changed(&self, key: RecordKey) -> Option<Boxed<()>>;
            $(fn $erased(&self, $($argument: $type),*) -> Boxed<$answer>;)+
        }

        impl<S: IdempotencyStore> Erased for S {
            fn capabilities(&self) -> Capabilities {
                IdempotencyStore::capabilities(self)
            }
            fn erased_changed(&self, key: RecordKey) -> Option<Boxed<()>> {
                self.changed(key).map(|changed| -> Boxed<()> { Box::pin(changed) })
            }
            $(fn $erased(&self, $($argument: $type),*) -> Boxed<$answer> {
                Box::pin(self.$method($($argument),*))
            })+
        }

        impl IdempotencyStore for BoxedIdempotencyStore {
            type Future<T: Send + 'static> = Boxed<T>;

            fn capabilities(&self) -> Capabilities {
                self.0.capabilities()
            }
            fn changed(&self, key: RecordKey) -> Option<Boxed<()>> {
                self.0.erased_changed(key)
            }
            $(fn $method(&self, $($argument: $type),*) -> Boxed<$answer> {
                self.0.$erased($($argument),*)
            })+
        }
    };
}

mirror! {
    now as erased_now() -> Timestamp;
    begin as erased_begin(begin: Begin) -> Begun;
    arm as erased_arm(token: Token, lease: Duration) -> Held;
    renew as erased_renew(token: Token, lease: Duration) -> Held;
    settle as erased_settle(token: Token, settlement: &Settlement) -> Settled;
    resolve as erased_resolve(resolve: Resolve) -> Resolved;
    get as erased_get(key: RecordKey) -> Option<Record>;
    unresolved as erased_unresolved(after: Option<RecordKey>, limit: u32) -> Vec<Unresolved>;
    sweep as erased_sweep(limit: u32) -> u64;
    collect as erased_collect(tombstone: Duration, limit: u32) -> u64;
}
