//! Quotas: one instant per key.

use crate::Redis;
use crate::error::unreadable;
use crate::reply::Reply;
use crate::script::micros;
use std::time::Duration;
use tollgate_core::store::quota::{QuotaKey, QuotaStore, Take, Taken};
use tollgate_core::store::{Boxed, StoreError};

impl QuotaStore for Redis {
    type Future<T: Send + 'static> = Boxed<T>;

    fn take(&self, takes: &[Take]) -> Boxed<Taken> {
        let (this, takes) = (self.clone(), takes.to_vec());
        Box::pin(async move {
            let keys = takes.iter().map(|take| this.quota_key(&take.key)).collect();
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
            this.run(&this.scripts().take, keys, arguments, taken).await
        })
    }

    fn give_back(&self, take: Take) -> Boxed<()> {
        let this = self.clone();
        Box::pin(async move {
            let arguments = vec![micros(take.quota.interval()), take.cost.to_string().into()];
            let keys = vec![this.quota_key(&take.key)];
            this.run(
                &this.scripts().give_back,
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

impl Redis {
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
