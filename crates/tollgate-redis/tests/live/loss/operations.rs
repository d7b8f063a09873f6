//! Every operation of every port that there is on Redis.

use tollgate_redis::Redis;
use tollgate_testkit::operations::{dedup, idempotency, quota, velocity};

pub(crate) type Operation = tollgate_testkit::operations::Operation<Redis>;

pub(crate) fn all() -> Vec<Operation> {
    [idempotency(), dedup(), quota(), velocity()]
        .into_iter()
        .flatten()
        .collect()
}
