//! A store on a server whose scripts are told the time, and the in-memory store beside it.

use crate::{Redis, Settings};
use redis::aio::MultiplexedConnection;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tollgate_core::{Clock, ManualClock, Timestamp};

/// The clock of the scripts, and behind it the test's.
const CLOCK: &str = concat!(include_str!("../lua/clock.lua"), include_str!("clock.lua"));

/// The server, the model, and their one clock.
pub(super) struct Pair<M> {
    pub(super) server: Redis,
    pub(super) model: M,
    clock: ManualClock,
    hand: MultiplexedConnection,
}

impl<M> Pair<M> {
    pub(super) async fn new(model: impl FnOnce(ManualClock) -> M) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let url = std::env::var("TOLLGATE_TEST_REDIS").expect(
            "TOLLGATE_TEST_REDIS is not set: these tests need a Redis server. Run them by `tests/run` (it starts a private one)",
        );
        let folder = tempfile::tempdir().unwrap();
        let unique = folder.path().file_name().unwrap().to_str().unwrap();
        let plain: String = unique.chars().filter(char::is_ascii_alphanumeric).collect();
        let prefix = format!("{plain}-{}", NEXT.fetch_add(1, Ordering::SeqCst));
        // far ahead of the server's own time: its keys' times to live, which follow that, do not end in between
        let clock = ManualClock::at(Timestamp::from_unix_seconds(4_100_000_000));
        let hand = redis::Client::open(url.as_str())
            .unwrap()
            .get_multiplexed_async_connection()
            .await
            .unwrap();
        let server = Redis::connect_with(&url, Settings::new().prefix(prefix), CLOCK)
            .await
            .unwrap();
        let mut pair = Self {
            server,
            model: model(clock.clone()),
            clock,
            hand,
        };
        pair.set_the_clock().await;
        pair
    }

    pub(super) async fn advance(&mut self, by: Duration) {
        self.clock.advance(by);
        self.set_the_clock().await;
    }

    async fn set_the_clock(&mut self) {
        redis::cmd("SET")
            .arg(self.server.key("clock"))
            .arg(self.clock.now().unix_micros())
            .exec_async(&mut self.hand)
            .await
            .unwrap();
    }

    /// Makes the server forget every script in mid-use.
    pub(super) async fn flush_scripts(&mut self) {
        redis::cmd("SCRIPT")
            .arg("FLUSH")
            .exec_async(&mut self.hand)
            .await
            .unwrap();
    }

    /// The members of an index.
    pub(super) async fn index(&mut self, name: &str) -> Vec<Vec<u8>> {
        redis::cmd("ZRANGEBYLEX")
            .arg(self.server.key(name))
            .arg("-")
            .arg("+")
            .query_async(&mut self.hand)
            .await
            .unwrap()
    }

    /// The members of an index with their scores.
    pub(super) async fn scores(&mut self, name: &str) -> Vec<(Vec<u8>, i64)> {
        let pairs: Vec<(Vec<u8>, String)> = redis::cmd("ZRANGE")
            .arg(self.server.key(name))
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
}

/// Asks both and compares their answers.
macro_rules! both {
    ($pair:expr, $port:ident::$method:ident($($argument:expr),*)) => {{
        let found = $port::$method(&$pair.server, $($argument),*).await.unwrap();
        let expected = $port::$method(&$pair.model, $($argument),*).await.unwrap();
        prop_assert_eq!(&found, &expected);
        found
    }};
}
pub(super) use both;

pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

pub(super) fn seconds(number: u8) -> Duration {
    Duration::from_secs(number.into())
}
