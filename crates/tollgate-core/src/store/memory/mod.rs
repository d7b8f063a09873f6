//! The ports in this process's memory: for tests, single-process caches and limits. They live and die with the
//! process, and say so in their capabilities.
//!
//! Each operation looks at the clock once it holds its lock: who had to wait for the lock writes what is now, not what was when it asked,
//! so along the history of a key time never goes back.

mod audit;
mod carry_over;
mod dedup;
mod idempotency;
#[cfg(test)]
#[cfg(tollgate_loom)]
mod orders;
mod quota;
mod saga;
mod sync;
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
