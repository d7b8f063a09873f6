//! The ports in this process's memory: for tests, single-process caches and limits. They live and die with the
//! process, and say so in their capabilities.

mod audit;
mod carry_over;
mod dedup;
mod idempotency;
mod quota;
mod saga;
mod table;
#[cfg(test)]
mod tests;
mod velocity;

pub use audit::MemoryAudit;
pub use carry_over::MemoryCarryOver;
pub use dedup::MemoryDedup;
pub use idempotency::MemoryIdempotency;
pub use quota::MemoryQuota;
pub use saga::MemorySaga;
pub use velocity::MemoryVelocity;
