//! The port: what a store must be able to do, and do at once.

use super::{
    Begin, Begun, Held, Record, RecordKey, Resolve, Resolved, Settled, Settlement, Token, Unresolved,
};
use crate::clock::Timestamp;
use crate::store::{Capabilities, StoreError};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// The port. Every method is one atomic step of [`rule`](super::rule); every future may be dropped, after which the step may or may
/// not have happened.
pub trait IdempotencyStore: Send + Sync + 'static {
    /// How it answers. `Unpin` and `'static`, so that a begin that nobody awaits any more can be moved into a task and
    /// undone.
    type Future<T: Send + 'static>: Future<Output = Result<T, StoreError>> + Send + Unpin + 'static;

    /// What it promises.
    fn capabilities(&self) -> Capabilities;

    /// What time it is by the store's own clock, the one that leases are measured by.
    fn now(&self) -> Self::Future<Timestamp>;

    /// Claims a key, or says why not. See [`rule::begin_within`](super::rule::begin_within); what that counts, the tenant's unknown
    /// outcomes, is read in the same step.
    fn begin(&self, begin: Begin) -> Self::Future<Begun>;

    /// Marks that the effect may happen from now on. See [`rule::arm`](super::rule::arm).
    fn arm(&self, token: Token, lease: Duration) -> Self::Future<Held>;

    /// Extends the lease. See [`rule::renew`](super::rule::renew).
    fn renew(&self, token: Token, lease: Duration) -> Self::Future<Held>;

    /// Writes how it ended; may be repeated until it is acknowledged. See [`rule::settle`](super::rule::settle).
    fn settle(&self, token: Token, settlement: &Settlement) -> Self::Future<Settled>;

    /// Ends a doubt by evidence, once, whoever else ends it at the same moment. See [`rule::resolve`](super::rule::resolve).
    fn resolve(&self, resolve: Resolve) -> Self::Future<Resolved>;

    /// Reads a record as it stands, and changes nothing: also one that has lapsed, or whose retention is over.
    fn get(&self, key: RecordKey) -> Self::Future<Option<Record>>;

    /// For a caller to whom [`begin`](Self::begin) said `InFlight`: answers once that may be over, because the claim was settled, was
    /// resolved, or has lapsed, whichever process did it. Too early is allowed; an error means that the store cannot tell at the
    /// moment. Neither says anything about the record: begin again. Dropping it changes nothing.
    ///
    /// `None` (default): the store never tells, and whoever waits asks again from time to time. A word can be lost on its way, so a
    /// waiter does that in any case, only more seldom.
    fn changed(&self, key: RecordKey) -> Option<Self::Future<()>> {
        let _ = key;
        None
    }

    /// Up to `limit` keys whose outcome is open, by key, after `after`. `Armed` records are listed only once their
    /// lease has lapsed. See [`rule::is_unresolved`](super::rule::is_unresolved) and [`Unresolved::of`].
    fn unresolved(&self, after: Option<RecordKey>, limit: u32) -> Self::Future<Vec<Unresolved>>;

    /// Turns up to `limit` armed records whose lease has lapsed into unknown ones, each in an atomic step. How many it was. See
    /// [`rule::sweep`](super::rule::sweep).
    fn sweep(&self, limit: u32) -> Self::Future<u64>;

    /// Forgets up to `limit` answers whose retention is over, keeping a tombstone for `tombstone`; then forgets
    /// tombstones. Never touches `Armed` and `Unknown`, nor what still pins a key to its request. How many records changed. See
    /// [`rule::collect`](super::rule::collect).
    fn collect(&self, tombstone: Duration, limit: u32) -> Self::Future<u64>;
}

/// A shared store is a store.
impl<S: IdempotencyStore> IdempotencyStore for Arc<S> {
    type Future<T: Send + 'static> = S::Future<T>;

    fn capabilities(&self) -> Capabilities {
        (**self).capabilities()
    }
    fn now(&self) -> Self::Future<Timestamp> {
        (**self).now()
    }
    fn begin(&self, begin: Begin) -> Self::Future<Begun> {
        (**self).begin(begin)
    }
    fn arm(&self, token: Token, lease: Duration) -> Self::Future<Held> {
        (**self).arm(token, lease)
    }
    fn renew(&self, token: Token, lease: Duration) -> Self::Future<Held> {
        (**self).renew(token, lease)
    }
    fn settle(&self, token: Token, settlement: &Settlement) -> Self::Future<Settled> {
        (**self).settle(token, settlement)
    }
    fn resolve(&self, resolve: Resolve) -> Self::Future<Resolved> {
        (**self).resolve(resolve)
    }
    fn get(&self, key: RecordKey) -> Self::Future<Option<Record>> {
        (**self).get(key)
    }
    fn changed(&self, key: RecordKey) -> Option<Self::Future<()>> {
        (**self).changed(key)
    }
    fn unresolved(&self, after: Option<RecordKey>, limit: u32) -> Self::Future<Vec<Unresolved>> {
        (**self).unresolved(after, limit)
    }
    fn sweep(&self, limit: u32) -> Self::Future<u64> {
        (**self).sweep(limit)
    }
    fn collect(&self, tombstone: Duration, limit: u32) -> Self::Future<u64> {
        (**self).collect(tombstone, limit)
    }
}
