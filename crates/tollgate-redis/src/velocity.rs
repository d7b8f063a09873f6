//! Velocity counters: one list per key.

use crate::Redis;
use crate::error::unreadable;
use crate::reply::Reply;
use crate::script::micros;
use tollgate_core::store::velocity::{Admit, Admitted, VelocityStore};
use tollgate_core::store::{Boxed, StoreError};

impl VelocityStore for Redis {
    type Future<T: Send + 'static> = Boxed<T>;

    fn admit(&self, admit: Admit) -> Boxed<Admitted> {
        let server = self.server().clone();
        Box::pin(async move {
            let mut arguments = vec![micros(admit.window)];
            arguments.extend(halves(admit.weight));
            arguments.extend(halves(admit.limit));
            let key = server.key_of("velocity", &admit.key.0);
            server
                .run(&server.scripts().admit, vec![key], arguments, admitted)
                .await
        })
    }
}

/// More than a Lua number holds: in two halves.
fn halves(number: u64) -> [Vec<u8>; 2] {
    [number >> 32, number & u64::from(u32::MAX)].map(|half| half.to_string().into())
}

fn admitted(mut reply: Reply) -> Result<Admitted, StoreError> {
    let (within, high, low): (u8, u32, u32) = (reply.number()?, reply.number()?, reply.number()?);
    match within {
        0 | 1 => Ok(Admitted {
            within: within == 1,
            total: u64::from(high) << 32 | u64::from(low),
        }),
        _ => Err(unreadable()),
    }
}
