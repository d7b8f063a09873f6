//! A repeat that meets a doubt has it looked into: one look at a time per key, on behalf of everybody who asks.

use super::guard::Guard;
use super::resolve::{Ended, end};
use crate::causes::Causes;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tollgate_core::store::StoreError;
use tollgate_core::store::idempotency::{IdempotencyStore, Phase, RecordKey, Unresolved};

/// How long a key is left alone after a look that found nothing out: the gateway is asked once a second, not at every retry.
const PAUSE: Duration = Duration::from_secs(1);

/// Leaves when it is dropped: a look that panics must not keep its key for ever.
struct UnderWay<St, P> {
    guard: Arc<Guard<St, P>>,
    key: RecordKey,
}

impl<St, P> Drop for UnderWay<St, P> {
    fn drop(&mut self) {
        if let Some(look_up) = self.guard.look_up.get() {
            look_up.leave(&self.key);
        }
    }
}

/// Has a key looked into, in a task, unless somebody is at it. A look moves no money, so nothing has to be drained.
pub(super) fn ask<St, P>(guard: &Arc<Guard<St, P>>, key: RecordKey)
where
    St: IdempotencyStore,
    P: Send + Sync + 'static,
{
    let (Some(look_up), Ok(runtime)) = (guard.look_up.get(), Handle::try_current()) else {
        return;
    };
    if !look_up.enter(key) {
        return;
    }
    let under_way = UnderWay {
        guard: Arc::clone(guard),
        key,
    };
    runtime.spawn(async move {
        match find_out(&under_way.guard, key).await {
            Ok(true) => {}
            Ok(false) => tokio::time::sleep(PAUSE).await,
            Err(error) => {
                tracing::warn!(
                    target: "tollgate::idempotency", record = %key, error = %Causes(&error),
                    "the store did not answer to a look-up"
                );
                tokio::time::sleep(PAUSE).await;
            }
        }
    });
}

/// Whether the doubt is over.
async fn find_out<St: IdempotencyStore, P>(guard: &Guard<St, P>, key: RecordKey) -> Result<bool, StoreError> {
    let Some(look_up) = guard.look_up.get() else {
        return Ok(false);
    };
    let open = match guard.store.get(key).await? {
        Some(record) if matches!(record.phase, Phase::Armed | Phase::Unknown) => Unresolved::of(key, &record),
        _ => return Ok(true), // it is over already
    };
    let as_of = guard.store.now().await?;
    let finding = look_up.look(open.clone()).await;
    Ok(end(
        &guard.store,
        &guard.ledger(),
        look_up.actor(),
        open,
        finding,
        as_of,
    )
    .await?
        != Ended::Open)
}
