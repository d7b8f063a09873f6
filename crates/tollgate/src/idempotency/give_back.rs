//! Gives back a claim that no call will use, so that its key is free again at once and does not end as an unknown outcome.

use super::guard::{Guard, Terms};
use super::run::settle;
use super::running::Doing;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::sleep;
use tollgate_core::store::StoreError;
use tollgate_core::store::idempotency::{Begin, Begun, IdempotencyStore, Phase, Settlement, Token};

/// How often a store is looked into, that answers: a begin whose connection was lost may still be under way there.
const LOOKS: u32 = 3;

/// How often it is looked into at all. With the pauses, five minutes: about as long as an outcome is written in the background.
const TRIES: u32 = 60;

/// The first pause before a look; five times longer each time, up to the longest.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

const LOST: &str = "a claim whose answer was lost, if it stands, becomes unknown when its lease lapses, though nothing was sent";

/// Nobody waits for this begin any more, or nobody has heard of what came of it; and nothing was sent, and nothing will be. Finds out in
/// a task whether it claimed the key, and releases the claim, with the owner's own word that nothing happened.
///
/// `begun` is the store's answer, if one may still come; `home` is where the task runs if this is called where no runtime is. Without one
/// the claim stays, and lapses.
#[cold]
pub(super) fn give_back<St: IdempotencyStore, P: Send + Sync + 'static>(
    terms: Arc<Terms<St, P>>,
    begin: Begin,
    begun: Option<St::Future<Begun>>,
    home: Option<Handle>,
) {
    let Some(runtime) = Handle::try_current().ok().or(home) else {
        return;
    };
    let tracked = terms.guard.running.tracker.token();
    runtime.spawn(async move {
        let _tracked = tracked;
        let giving_back = pin!(async {
            if let Some(token) = claim_of(&terms.guard, &begin, begun).await {
                settle(&terms, &token, Settlement::Released).await;
            }
        });
        terms
            .guard
            .running
            .named(&begin.key, Doing::GivingBack, giving_back)
            .await;
    });
}

/// The claim that this begin made, if it made one.
async fn claim_of<St: IdempotencyStore, P>(
    guard: &Guard<St, P>,
    begin: &Begin,
    begun: Option<St::Future<Begun>>,
) -> Option<Token> {
    match begun {
        None => look_for_it(guard, begin).await,
        Some(begun) => match begun.await {
            Ok(Begun::Acquired(token)) => Some(token),
            // the doubt may be about a begin of its own, whose answer was lost before
            Ok(Begun::Unknown { .. }) => look_for_it(guard, begin).await,
            Err(error) if StoreError::may_have_happened(&error) => look_for_it(guard, begin).await,
            Ok(_) | Err(_) => None,
        },
    }
}

/// Looks under the key. Asking the begin once more would do as well, but for a lease that lapsed meanwhile: then it would be told of a
/// doubt, which its owner alone knows to be none.
async fn look_for_it<St: IdempotencyStore, P>(guard: &Guard<St, P>, begin: &Begin) -> Option<Token> {
    let Ok(_place) = guard.looking.try_acquire() else {
        tracing::error!(target: "tollgate::idempotency", record = %begin.key, "{LOST}: too many are looked for");
        return None;
    };
    let (mut pause, mut looks) = (PAUSE, 0);
    for _ in 0..TRIES {
        sleep(pause).await;
        pause = (pause * 5).min(LONGEST);
        let Ok(found) = guard.store.get(begin.key).await else {
            continue;
        };
        looks += 1;
        if let Some(record) = found.filter(|record| record.owner == begin.owner) {
            let open = matches!(record.phase, Phase::Prepared | Phase::Armed | Phase::Unknown);
            return open.then_some(Token {
                key: begin.key,
                epoch: record.epoch,
                owner: record.owner,
            });
        }
        if looks == LOOKS {
            return None; // what still comes after that is swept when its lease lapses
        }
    }
    tracing::error!(target: "tollgate::idempotency", record = %begin.key, "{LOST}: the store stays away");
    None
}
