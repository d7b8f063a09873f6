//! The store under test, with fail points around its steps and a note of every doubt that was ended.

use super::points::{Point, Points};
use crate::evidence::{Event, Lines};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tollgate_core::Timestamp;
use tollgate_core::id::hex;
use tollgate_core::store::idempotency::{
    Begin, Begun, BoxedIdempotencyStore, Held, IdempotencyStore, Record, RecordKey, Resolve, Resolved,
    Settled, Settlement, Token, Unresolved,
};
use tollgate_core::store::{Boxed, Capabilities};

#[derive(Clone)]
pub struct Watched {
    store: BoxedIdempotencyStore,
    points: Points,
    events: Arc<Lines>,
}

impl Watched {
    pub fn new(store: BoxedIdempotencyStore, points: Points, events: Arc<Lines>) -> Self {
        Self {
            store,
            points,
            events,
        }
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

impl IdempotencyStore for Watched {
    type Future<T: Send + 'static> = Boxed<T>;

    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }

    fn now(&self) -> Boxed<Timestamp> {
        self.store.now()
    }

    fn begin(&self, begin: Begin) -> Boxed<Begun> {
        let (step, points) = (self.store.begin(begin), self.points.clone());
        Box::pin(async move {
            let begun = step.await?;
            if matches!(begun, Begun::Acquired(_)) {
                points.pass(Point::AfterBegin);
            }
            Ok(begun)
        })
    }

    fn arm(&self, token: Token, lease: Duration) -> Boxed<Held> {
        let (step, points) = (self.store.arm(token, lease), self.points.clone());
        Box::pin(async move {
            let held = step.await?;
            points.pass(Point::AfterArm);
            Ok(held)
        })
    }

    fn renew(&self, token: Token, lease: Duration) -> Boxed<Held> {
        self.store.renew(token, lease)
    }

    fn settle(&self, token: Token, settlement: &Settlement) -> Boxed<Settled> {
        self.points.pass(Point::BeforeSettle);
        let (step, points) = (self.store.settle(token, settlement), self.points.clone());
        Box::pin(async move {
            let settled = step.await?;
            points.pass(Point::AfterSettle);
            Ok(settled)
        })
    }

    fn resolve(&self, resolve: Resolve) -> Boxed<Resolved> {
        let (key, events) = (resolve.key, Arc::clone(&self.events));
        let step = self.store.resolve(resolve);
        Box::pin(async move {
            let resolved = step.await?;
            if resolved == Resolved::Resolved {
                let _ = events.write(&Event::Resolved(hex(key.as_bytes())));
            }
            Ok(resolved)
        })
    }

    fn get(&self, key: RecordKey) -> Boxed<Option<Record>> {
        self.store.get(key)
    }

    fn changed(&self, key: RecordKey) -> Option<Boxed<()>> {
        self.store.changed(key)
    }

    fn unresolved(&self, after: Option<RecordKey>, limit: u32) -> Boxed<Vec<Unresolved>> {
        self.store.unresolved(after, limit)
    }

    fn sweep(&self, limit: u32) -> Boxed<u64> {
        self.store.sweep(limit)
    }

    fn collect(&self, tombstone: Duration, limit: u32) -> Boxed<u64> {
        self.store.collect(tombstone, limit)
    }
}
