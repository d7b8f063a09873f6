//! How the cache is used, and what it did.

use std::time::Duration;

/// How a Redis server is used as a cache.
///
/// ```
/// use std::time::Duration;
/// use tollgate_redis::cache::CacheSettings;
///
/// let settings = CacheSettings::new().keep(Duration::from_secs(600)).patience(Duration::from_millis(20));
/// # let _ = settings;
/// ```
#[derive(Clone, Debug)]
pub struct CacheSettings {
    pub(super) prefix: String,
    pub(super) keep: Duration,
    pub(super) patience: Duration,
    pub(super) pause: Duration,
    pub(super) largest: usize,
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self::new()
    }
}

impl CacheSettings {
    /// The defaults, which each setter names.
    #[must_use]
    pub fn new() -> Self {
        Self {
            prefix: "tollgate-cache".into(),
            keep: Duration::from_secs(60 * 60),
            patience: Duration::from_millis(100),
            pause: Duration::from_secs(1),
            largest: 64 * 1024,
        }
    }

    /// What every key begins with (default: `tollgate-cache`): 1 to 64 letters, digits, `.`, `:`, `_`, `-`. Processes with one prefix,
    /// one database behind them and one secret share what they keep.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// How long an answer is kept at most (default: 1 h); never longer than its retention. Most repeats come soon.
    #[must_use]
    pub const fn keep(mut self, time: Duration) -> Self {
        self.keep = time;
        self
    }

    /// How long a call waits for the cache at most (default: 100 ms): half of it for an answer, the rest where a connection has to be
    /// made first. One that has to be waited for longer is worth nothing.
    #[must_use]
    pub const fn patience(mut self, time: Duration) -> Self {
        self.patience = time;
        self
    }

    /// How long calls go past a cache that did not answer, before one of them tries again (default: 1 s).
    #[must_use]
    pub const fn pause(mut self, time: Duration) -> Self {
        self.pause = time;
        self
    }

    /// The largest answer that is kept, in bytes of head and body (default: 64 KiB). Large ones would hold up small ones on the way.
    #[must_use]
    pub const fn largest(mut self, bytes: usize) -> Self {
        self.largest = bytes;
        self
    }
}

/// What the cache did since it was made, over all clones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheStats {
    /// Begins answered by the cache.
    pub hits: u64,
    /// Begins for which it had nothing.
    pub misses: u64,
    /// Answers kept.
    pub kept: u64,
    /// Questions that it did not answer, or not well: down, slow, an error, an entry that cannot be read.
    pub failures: u64,
    /// Questions that were not asked, because it had failed just before.
    pub skipped: u64,
}
