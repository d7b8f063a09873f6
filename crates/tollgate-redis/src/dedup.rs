//! Webhook events: one hash each, one script per transition.

use crate::Redis;
use crate::error::unreadable;
use crate::reply::Reply;
use crate::script::{Due, micros};
use std::time::Duration;
use tollgate_core::store::dedup::{Claim, Claimed, DedupStore, EventKey, Ticket};
use tollgate_core::store::{Boxed, StoreError};

impl DedupStore for Redis {
    type Future<T: Send + 'static> = Boxed<T>;

    fn claim(&self, claim: Claim) -> Boxed<Claimed> {
        let this = self.clone();
        Box::pin(async move {
            let arguments = vec![claim.key.0.to_vec(), claim.digest.0.to_vec(), micros(claim.lease)];
            let keys = this.event_keys(&claim.key);
            this.run(&this.scripts().claim, keys, arguments, |reply| {
                claimed(reply, claim.key)
            })
            .await
        })
    }

    fn commit(&self, ticket: Ticket, retention: Duration) -> Boxed<bool> {
        let this = self.clone();
        Box::pin(async move {
            let mut arguments = holder(&ticket);
            arguments.push(micros(retention));
            let keys = this.event_keys(&ticket.key);
            this.run(&this.scripts().commit, keys, arguments, done).await
        })
    }

    fn release(&self, ticket: Ticket) -> Boxed<bool> {
        let this = self.clone();
        Box::pin(async move {
            let keys = this.event_keys(&ticket.key);
            this.run(&this.scripts().release, keys, holder(&ticket), done)
                .await
        })
    }

    fn forget(&self, limit: u32) -> Boxed<u64> {
        let this = self.clone();
        Box::pin(async move {
            let indexes = [this.key("events")];
            let due = Due {
                index: &indexes[0],
                what: "others",
                indexes: &indexes,
                kind: "event",
                first: None,
            };
            this.upkeep(&this.scripts().forget, due, limit).await
        })
    }
}

impl Redis {
    fn event_key(&self, name: &[u8]) -> Vec<u8> {
        self.key_of("event", name)
    }

    fn event_keys(&self, key: &EventKey) -> Vec<Vec<u8>> {
        vec![self.key("events"), self.event_key(&key.0)]
    }
}

fn holder(ticket: &Ticket) -> Vec<Vec<u8>> {
    vec![ticket.key.0.to_vec(), ticket.fence.to_string().into()]
}

fn claimed(mut reply: Reply, key: EventKey) -> Result<Claimed, StoreError> {
    Ok(match reply.word()?.as_str() {
        "acquired" => Claimed::Acquired(Ticket {
            key,
            fence: reply.number()?,
        }),
        "in_progress" => Claimed::InProgress {
            retry_after: Duration::from_micros(reply.number()?),
        },
        "done" => Claimed::Done,
        "conflict" => Claimed::Conflict,
        _ => return Err(unreadable()),
    })
}

fn done(mut reply: Reply) -> Result<bool, StoreError> {
    match reply.word()?.as_str() {
        "done" => Ok(true),
        "lost" => Ok(false),
        _ => Err(unreadable()),
    }
}
