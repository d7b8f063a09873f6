//! The ports in this process's memory: for tests, single-process caches and limits. They live and die with the
//! process, and say so in their capabilities.

mod idempotency;
mod quota;

pub use idempotency::MemoryIdempotency;
pub use quota::MemoryQuota;
