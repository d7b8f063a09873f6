//! The port: each question to its script.

use super::alone::{Settle, is_plain};
use super::{CLAIMS, RECORD, answers};
use crate::Redis;
use crate::error::unreadable;
use crate::record;
use crate::script::{Due, micros};
use crate::server::Server;
use redis::Value;
use std::time::Duration;
use tollgate_core::Timestamp;
use tollgate_core::store::idempotency::{
    Begin, Begun, Held, IdempotencyStore, Phase, Record, RecordKey, Resolution, Resolve, Resolved, Settled,
    Settlement, Token, Unresolved,
};
use tollgate_core::store::{Boxed, Capabilities};

impl IdempotencyStore for Redis {
    type Future<T: Send + 'static> = Boxed<T>;

    fn capabilities(&self) -> Capabilities {
        Self::capabilities(self)
    }

    fn now(&self) -> Boxed<Timestamp> {
        let server = self.server().clone();
        Box::pin(async move {
            let keys = vec![server.indexes()[0].clone()];
            server
                .run(&server.scripts().now, keys, Vec::new(), |mut reply| {
                    reply.number().map(Timestamp::from_unix_micros)
                })
                .await
        })
    }

    fn begin(&self, begin: Begin) -> Boxed<Begun> {
        if is_plain(&begin) {
            return self.together().begin(begin);
        }
        let server = self.server().clone();
        Box::pin(async move { server.begin(&begin).await })
    }

    fn arm(&self, token: Token, lease: Duration) -> Boxed<Held> {
        let server = self.server().clone();
        Box::pin(async move {
            let script = &server.scripts().arm;
            let mut question = server.about(script, &token.key);
            question.arg(record::holder(&token)).arg(micros(lease));
            server.ask(script, question, answers::held).await
        })
    }

    fn renew(&self, token: Token, lease: Duration) -> Boxed<Held> {
        let server = self.server().clone();
        Box::pin(async move {
            let script = &server.scripts().renew;
            let mut question = server.about(script, &token.key);
            question.arg(record::holder(&token)).arg(micros(lease));
            server.ask(script, question, answers::held).await
        })
    }

    fn settle(&self, token: Token, settlement: &Settlement) -> Boxed<Settled> {
        let settle = Settle::new(token, settlement);
        if settle.is_plain() {
            return self.together().settle(settle);
        }
        let server = self.server().clone();
        Box::pin(async move { server.settle(&settle).await })
    }

    fn resolve(&self, resolve: Resolve) -> Boxed<Resolved> {
        let server = self.server().clone();
        Box::pin(async move {
            let (phase, completion) = match &resolve.resolution {
                Resolution::Completed(completion) => (Phase::Completed, Some(completion)),
                Resolution::Released => (Phase::Released, None),
            };
            let script = &server.scripts().resolve;
            let mut question = server.about(script, &resolve.key);
            question
                .arg(resolve.epoch)
                .arg(phase.as_str())
                .arg(record::evidence(&resolve.evidence))
                .arg(micros(server.forget_after()))
                .arg(resolve.as_of.unix_micros())
                .arg(record::answer(completion));
            server.ask(script, question, answers::resolved).await
        })
    }

    fn get(&self, key: RecordKey) -> Boxed<Option<Record>> {
        let server = self.server().clone();
        Box::pin(async move {
            let mut ask = redis::cmd("GET");
            ask.arg(server.record_key(&key));
            match server.read(ask).await? {
                Value::Nil => Ok(None),
                Value::BulkString(stored) => record::record(&stored).map(Some),
                _ => Err(unreadable()),
            }
        })
    }

    fn unresolved(&self, after: Option<RecordKey>, limit: u32) -> Boxed<Vec<Unresolved>> {
        let server = self.server().clone();
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Box::pin(async move { server.list(after, limit).await })
    }

    fn sweep(&self, limit: u32) -> Boxed<u64> {
        let server = self.server().clone();
        Box::pin(async move {
            let due = server.watched(CLAIMS, None);
            server.upkeep(&server.scripts().sweep, due, limit).await
        })
    }

    fn collect(&self, tombstone: Duration, limit: u32) -> Boxed<u64> {
        let server = self.server().clone();
        Box::pin(async move {
            let due = server.watched("others", Some(micros(tombstone)));
            server.upkeep(&server.scripts().collect, due, limit).await
        })
    }
}

impl Server {
    /// What upkeep looks at.
    fn watched(&self, what: &'static str, first: Option<Vec<u8>>) -> Due<'_> {
        let indexes = self.indexes();
        Due {
            index: &indexes[0],
            what,
            indexes,
            kind: RECORD,
            first,
        }
    }
}
