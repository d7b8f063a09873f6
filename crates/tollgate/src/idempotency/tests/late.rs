//! A store whose answers to a begin and to a resolution take ten seconds.

use std::time::Duration;
use tokio::time::sleep;
use tollgate_core::Timestamp;
use tollgate_core::store::idempotency::*;
use tollgate_core::store::memory::MemoryIdempotency;
use tollgate_core::store::{Boxed, Capabilities};

#[derive(Clone)]
pub(super) struct Late(pub(super) MemoryIdempotency);

const LATE: Duration = Duration::from_secs(10);

impl IdempotencyStore for Late {
    type Future<T: Send + 'static> = Boxed<T>;
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }
    fn now(&self) -> Boxed<Timestamp> {
        Box::pin(self.0.now())
    }
    fn begin(&self, begin: Begin) -> Boxed<Begun> {
        let store = self.0.clone();
        Box::pin(async move {
            sleep(LATE).await;
            store.begin(begin).await
        })
    }
    fn arm(&self, token: Token, lease: Duration) -> Boxed<Held> {
        Box::pin(self.0.arm(token, lease))
    }
    fn renew(&self, token: Token, lease: Duration) -> Boxed<Held> {
        Box::pin(self.0.renew(token, lease))
    }
    fn settle(&self, token: Token, settlement: &Settlement) -> Boxed<Settled> {
        Box::pin(self.0.settle(token, settlement))
    }
    fn resolve(&self, resolve: Resolve) -> Boxed<Resolved> {
        let store = self.0.clone();
        Box::pin(async move {
            sleep(LATE).await;
            store.resolve(resolve).await
        })
    }
    fn get(&self, key: RecordKey) -> Boxed<Option<Record>> {
        Box::pin(self.0.get(key))
    }
    fn unresolved(&self, after: Option<RecordKey>, limit: u32) -> Boxed<Vec<Unresolved>> {
        Box::pin(self.0.unresolved(after, limit))
    }
    fn sweep(&self, limit: u32) -> Boxed<u64> {
        Box::pin(self.0.sweep(limit))
    }
    fn collect(&self, tombstone: Duration, limit: u32) -> Boxed<u64> {
        Box::pin(self.0.collect(tombstone, limit))
    }
}
