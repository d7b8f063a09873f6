//! Quotas: one instant per key.

use crate::Redis;
use crate::error::unreadable;
use crate::reply::Reply;
use crate::script::micros;
use crate::server::Server;
use std::time::Duration;
use tollgate_core::store::quota::{QuotaKey, QuotaStore, Take, Taken};
use tollgate_core::store::{Boxed, StoreError};

impl QuotaStore for Redis {
    type Future<T: Send + 'static> = Boxed<T>;

    fn take(&self, takes: &[Take]) -> Boxed<Taken> {
        let (server, takes) = (self.server().clone(), takes.to_vec());
        Box::pin(async move {
            let keys = takes.iter().map(|take| server.quota_key(&take.key)).collect();
            let arguments = takes
                .iter()
                .flat_map(|take| {
                    [
                        micros(take.quota.interval()),
                        take.quota.at_once().to_string().into(),
                        take.cost.to_string().into(),
                    ]
                })
                .collect();
            server.run(&server.scripts().take, keys, arguments, taken).await
        })
    }

    fn give_back(&self, take: Take) -> Boxed<()> {
        let server = self.server().clone();
        Box::pin(async move {
            let arguments = vec![micros(take.quota.interval()), take.cost.to_string().into()];
            let keys = vec![server.quota_key(&take.key)];
            server
                .run(
                    &server.scripts().give_back,
                    keys,
                    arguments,
                    |mut reply| match reply.word()?.as_str() {
                        "done" => Ok(()),
                        _ => Err(unreadable()),
                    },
                )
                .await
        })
    }
}

impl Server {
    fn quota_key(&self, key: &QuotaKey) -> Vec<u8> {
        self.key_of("quota", &key.0)
    }
}

fn taken(mut reply: Reply) -> Result<Taken, StoreError> {
    Ok(match reply.word()?.as_str() {
        "granted" => Taken::Granted {
            remaining: reply.number()?,
            reset: Duration::from_micros(reply.number()?),
        },
        "refused" => Taken::Refused {
            index: reply.number()?,
            retry_after: Duration::from_micros(reply.number()?),
        },
        "never" => Taken::Refused {
            index: reply.number()?,
            retry_after: Duration::MAX,
        },
        _ => return Err(unreadable()),
    })
}
