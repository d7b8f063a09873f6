//! Webhook events: one hash each, one script per transition.

use crate::Redis;
use crate::error::unreadable;
use crate::reply::Reply;
use crate::script::{Due, micros};
use crate::server::Server;
use std::time::Duration;
use tollgate_core::store::dedup::{Claim, Claimed, DedupStore, EventKey, Ticket};
use tollgate_core::store::{Boxed, StoreError};

impl DedupStore for Redis {
    type Future<T: Send + 'static> = Boxed<T>;

    fn claim(&self, claim: Claim) -> Boxed<Claimed> {
        let server = self.server().clone();
        Box::pin(async move {
            let arguments = vec![claim.key.0.to_vec(), claim.digest.0.to_vec(), micros(claim.lease)];
            let keys = server.event_keys(&claim.key);
            server
                .run(&server.scripts().claim, keys, arguments, |reply| {
                    claimed(reply, claim.key)
                })
                .await
        })
    }

    fn commit(&self, ticket: Ticket, retention: Duration) -> Boxed<bool> {
        let server = self.server().clone();
        Box::pin(async move {
            let mut arguments = holder(&ticket);
            arguments.push(micros(retention));
            let keys = server.event_keys(&ticket.key);
            server.run(&server.scripts().commit, keys, arguments, done).await
        })
    }

    fn release(&self, ticket: Ticket) -> Boxed<bool> {
        let server = self.server().clone();
        Box::pin(async move {
            let keys = server.event_keys(&ticket.key);
            server
                .run(&server.scripts().release, keys, holder(&ticket), done)
                .await
        })
    }

    fn forget(&self, limit: u32) -> Boxed<u64> {
        let server = self.server().clone();
        Box::pin(async move {
            let indexes = [server.key("events")];
            let due = Due {
                index: &indexes[0],
                what: "others",
                indexes: &indexes,
                kind: "event",
                first: None,
            };
            server.upkeep(&server.scripts().forget, due, limit).await
        })
    }
}

impl Server {
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
