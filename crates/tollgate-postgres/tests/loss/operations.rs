//! Every operation of every port.

use tollgate_postgres::Postgres;
use tollgate_testkit::operations::{audit, carry_over, dedup, idempotency, quota, saga, velocity};

pub(crate) type Operation = tollgate_testkit::operations::Operation<Postgres>;

pub(crate) fn all() -> Vec<Operation> {
    [
        idempotency(),
        dedup(),
        quota(),
        velocity(),
        audit(),
        carry_over(),
        saga(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
