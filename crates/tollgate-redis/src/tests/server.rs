//! A store on a server whose scripts are told the time.

use crate::{Redis, Settings};
use redis::aio::MultiplexedConnection;
use std::sync::atomic::{AtomicU32, Ordering};
use tollgate_core::Timestamp;
use tollgate_core::store::idempotency::{IdempotencyStore, Phase, RecordKey};
use tollgate_testkit::histories::{Trial, record_keys};

/// The clock of the scripts, and behind it the test's.
const CLOCK: &str = concat!(include_str!("../lua/clock.lua"), include_str!("clock.lua"));

/// A store with a prefix of its own, and a look past it.
pub(super) struct Server {
    store: Redis,
    hand: MultiplexedConnection,
    /// The idempotency records that the indexes must know, and nothing else, after each step; none: they are not looked at.
    indexed: Vec<RecordKey>,
}

impl Server {
    pub(super) async fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let url = std::env::var("TOLLGATE_TEST_REDIS").expect(
            "TOLLGATE_TEST_REDIS is not set: these tests need a Redis server. Run them by `tests/run` (it starts a private one)",
        );
        let folder = tempfile::tempdir().unwrap();
        let unique = folder.path().file_name().unwrap().to_str().unwrap();
        let plain: String = unique.chars().filter(char::is_ascii_alphanumeric).collect();
        let prefix = format!("{plain}-{}", NEXT.fetch_add(1, Ordering::SeqCst));
        let hand = redis::Client::open(url.as_str())
            .unwrap()
            .get_multiplexed_async_connection()
            .await
            .unwrap();
        let store = Redis::connect_with(&url, Settings::new().prefix(prefix), CLOCK)
            .await
            .unwrap();
        Self {
            store,
            hand,
            indexed: Vec::new(),
        }
    }

    /// Looks at the indexes, too.
    pub(super) fn with_indexes(self) -> Self {
        self.with_indexes_of(record_keys())
    }

    /// Looks at the indexes, too, which are of these records.
    pub(super) fn with_indexes_of(self, keys: impl IntoIterator<Item = RecordKey>) -> Self {
        let mut indexed: Vec<_> = keys.into_iter().collect();
        indexed.sort_unstable();
        Self { indexed, ..self }
    }

    /// A store on the same records, at another URL.
    pub(super) async fn same_at(&self, url: &str) -> Redis {
        let settings = Settings::new().prefix(self.store.server().prefix());
        Redis::connect_with(url, settings, CLOCK).await.unwrap()
    }

    /// Says a command past the store.
    pub(super) async fn tell<T: redis::FromRedisValue>(&mut self, command: &redis::Cmd) -> T {
        command.query_async(&mut self.hand).await.unwrap()
    }

    /// The members of an index.
    async fn index(&mut self, name: &str) -> Vec<Vec<u8>> {
        redis::cmd("ZRANGEBYLEX")
            .arg(self.store.server().key(name))
            .arg("-")
            .arg("+")
            .query_async(&mut self.hand)
            .await
            .unwrap()
    }

    /// The members of an index with their scores.
    async fn scores(&mut self, name: &str) -> Vec<(Vec<u8>, i64)> {
        let pairs: Vec<(Vec<u8>, String)> = redis::cmd("ZRANGE")
            .arg(self.store.server().key(name))
            .arg(0)
            .arg(-1)
            .arg("WITHSCORES")
            .query_async(&mut self.hand)
            .await
            .unwrap();
        pairs
            .into_iter()
            .map(|(member, score)| (member, score.parse().unwrap()))
            .collect()
    }

    /// What the indexes must hold, by the records themselves.
    async fn check_indexes(&mut self) {
        // claims stand before everything else
        const CLAIMS: i64 = -(1 << 53);
        let (mut unknown, mut doubtful, mut watch) = (Vec::new(), Vec::new(), Vec::new());
        for key in self.indexed.clone() {
            let Some(record) = self.store.get(key).await.unwrap() else {
                continue;
            };
            let name = key.as_bytes().to_vec();
            match record.phase {
                Phase::Armed => watch.push((name, CLAIMS + record.lease_until.unix_micros())),
                Phase::Unknown => {
                    let tenant = format!("{:016x}:", record.tenant.0).into_bytes();
                    doubtful.push([&tenant[..], &name].concat());
                    unknown.push(name);
                }
                Phase::Prepared => {
                    let end = record.lease_until.saturating_add(record.retention);
                    watch.push((name, end.unix_micros()));
                }
                _ => watch.push((name, record.expires_at.unwrap().unix_micros())),
            }
        }
        doubtful.sort_unstable();
        assert_eq!(self.index("unknown").await, unknown);
        assert_eq!(self.index("doubtful").await, doubtful);
        let mut found = self.scores("watch").await;
        found.sort_unstable();
        assert_eq!(found, watch);
    }
}

impl Trial for Server {
    type Store = Redis;

    fn store(&self) -> &Redis {
        &self.store
    }

    async fn set_time(&mut self, now: Timestamp) {
        redis::cmd("SET")
            .arg(self.store.server().key("clock"))
            .arg(now.unix_micros())
            .exec_async(&mut self.hand)
            .await
            .unwrap();
    }

    /// Makes the server forget every script in mid-use.
    async fn disturb(&mut self, _how: u8) {
        redis::cmd("SCRIPT")
            .arg("FLUSH")
            .exec_async(&mut self.hand)
            .await
            .unwrap();
    }

    async fn inspect(&mut self) {
        if !self.indexed.is_empty() {
            self.check_indexes().await;
        }
    }
}
