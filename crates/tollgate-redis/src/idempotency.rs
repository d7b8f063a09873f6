//! Idempotency records: one string each; the rule runs in the server, one script per transition.

use crate::Redis;
use crate::error::unreadable;
use crate::record::{self, doubt, tenant};
use crate::reply::Reply;
use crate::script::{Due, Script, micros};
use redis::{Cmd, Value};
use std::collections::BTreeSet;
use std::time::Duration;
use tollgate_core::Timestamp;
use tollgate_core::store::idempotency::{
    Begin, Begun, Doubt, Held, IdempotencyStore, Phase, Record, RecordKey, Resolution, Resolve, Resolved,
    Settled, Settlement, Token, Unresolved,
};
use tollgate_core::store::{Boxed, Capabilities, StoreError};

impl IdempotencyStore for Redis {
    type Future<T: Send + 'static> = Boxed<T>;

    fn capabilities(&self) -> Capabilities {
        Self::capabilities(self)
    }

    fn now(&self) -> Boxed<Timestamp> {
        let this = self.clone();
        Box::pin(async move {
            let keys = vec![this.indexes()[0].clone()];
            this.run(&this.scripts().now, keys, Vec::new(), |mut reply| {
                reply.number().map(Timestamp::from_unix_micros)
            })
            .await
        })
    }

    fn begin(&self, begin: Begin) -> Boxed<Begun> {
        let this = self.clone();
        Box::pin(async move {
            let script = &this.scripts().begin;
            let mut question = this.about(script, &begin.key);
            question
                .arg(record::claim(&begin, &micros(begin.retention)))
                .arg(micros(begin.lease))
                .arg(if begin.arm { "1" } else { "0" })
                .arg(cap(&begin));
            this.ask(script, question, |reply| begun(reply, &begin)).await
        })
    }

    fn arm(&self, token: Token, lease: Duration) -> Boxed<Held> {
        let this = self.clone();
        Box::pin(async move {
            let script = &this.scripts().arm;
            let mut question = this.about(script, &token.key);
            question.arg(record::holder(&token)).arg(micros(lease));
            this.ask(script, question, held).await
        })
    }

    fn renew(&self, token: Token, lease: Duration) -> Boxed<Held> {
        let this = self.clone();
        Box::pin(async move {
            let script = &this.scripts().renew;
            let mut question = this.about(script, &token.key);
            question.arg(record::holder(&token)).arg(micros(lease));
            this.ask(script, question, held).await
        })
    }

    fn settle(&self, token: Token, settlement: &Settlement) -> Boxed<Settled> {
        let this = self.clone();
        let (phase, doubt, completion) = match settlement {
            Settlement::Completed(completion) => (Phase::Completed, None, Some(completion)),
            Settlement::Released => (Phase::Released, None, None),
            Settlement::Unknown(doubt) => (Phase::Unknown, Some(*doubt), None),
        };
        let answer = record::answer(completion);
        Box::pin(async move {
            let script = &this.scripts().settle;
            let mut question = this.about(script, &token.key);
            question
                .arg(record::holder(&token))
                .arg(phase.as_str())
                .arg(doubt.map_or("", Doubt::as_str))
                .arg(micros(this.forget_after()))
                .arg(answer);
            this.ask(script, question, settled).await
        })
    }

    fn resolve(&self, resolve: Resolve) -> Boxed<Resolved> {
        let this = self.clone();
        Box::pin(async move {
            let (phase, completion) = match &resolve.resolution {
                Resolution::Completed(completion) => (Phase::Completed, Some(completion)),
                Resolution::Released => (Phase::Released, None),
            };
            let script = &this.scripts().resolve;
            let mut question = this.about(script, &resolve.key);
            question
                .arg(resolve.epoch)
                .arg(phase.as_str())
                .arg(record::evidence(&resolve.evidence))
                .arg(micros(this.forget_after()))
                .arg(resolve.as_of.unix_micros())
                .arg(record::answer(completion));
            this.ask(script, question, resolved).await
        })
    }

    fn get(&self, key: RecordKey) -> Boxed<Option<Record>> {
        let this = self.clone();
        Box::pin(async move {
            let mut ask = redis::cmd("GET");
            ask.arg(this.record_key(&key));
            match this.read(ask).await? {
                Value::Nil => Ok(None),
                Value::BulkString(stored) => record::record(&stored).map(Some),
                _ => Err(unreadable()),
            }
        })
    }

    fn unresolved(&self, after: Option<RecordKey>, limit: u32) -> Boxed<Vec<Unresolved>> {
        let this = self.clone();
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Box::pin(async move { this.list(after, limit).await })
    }

    fn sweep(&self, limit: u32) -> Boxed<u64> {
        let this = self.clone();
        Box::pin(async move {
            let due = this.watched(CLAIMS, None);
            this.upkeep(&this.scripts().sweep, due, limit).await
        })
    }

    fn collect(&self, tombstone: Duration, limit: u32) -> Boxed<u64> {
        let this = self.clone();
        Box::pin(async move {
            let due = this.watched("others", Some(micros(tombstone)));
            this.upkeep(&this.scripts().collect, due, limit).await
        })
    }
}

/// The part of the watch where claims stand.
const CLAIMS: &str = "claims";

impl Redis {
    fn record_key(&self, key: &RecordKey) -> Vec<u8> {
        self.key_of(RECORD, key.as_bytes())
    }

    /// A question to a script about one record: its keys, and the record's name in the indexes.
    fn about(&self, script: &Script, key: &RecordKey) -> Cmd {
        let indexes = self.indexes();
        let mut question = script.over(indexes.len() + 1);
        question
            .arg(indexes)
            .arg(self.record_key(key))
            .arg(key.as_bytes());
        question
    }

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

    /// What is unresolved, by name: unknown ones have an index by name, and claims whose lease lapsed are few, unless nobody sweeps.
    /// Those are looked for first: what the sweep makes unknown in between is met again among the unknown ones.
    async fn list(&self, after: Option<RecordKey>, limit: usize) -> Result<Vec<Unresolved>, StoreError> {
        let (mut after, mut found) = (after, Vec::new());
        let mut lapsed = self.lapsed_claims().await?;
        while found.len() < limit {
            let unknown = self.unknown_after(after).await?;
            let more = unknown.len() >= PAGE;
            let last = unknown.last().copied().filter(|_| more);
            let (mut names, later): (BTreeSet<_>, _) = lapsed
                .into_iter()
                .partition(|name| last.is_none_or(|last| *name <= last));
            lapsed = later;
            names.extend(unknown);
            let names: Vec<_> = names.into_iter().filter(|name| Some(*name) > after).collect();
            for names in names.chunks(PAGE) {
                if found.len() < limit {
                    found.extend(self.decide_open(names).await?);
                }
            }
            if !more {
                break;
            }
            after = last;
        }
        found.truncate(limit);
        Ok(found)
    }

    /// The claims whose lease has lapsed.
    async fn lapsed_claims(&self) -> Result<BTreeSet<RecordKey>, StoreError> {
        let due = &self.scripts().due;
        let mut question = due.over(1);
        question.arg(&self.indexes()[0]).arg(-1).arg(CLAIMS);
        self.ask(due, question, names).await
    }

    /// The next names in the index of what is unknown.
    async fn unknown_after(&self, after: Option<RecordKey>) -> Result<Vec<RecordKey>, StoreError> {
        let from = after.map_or_else(|| b"-".to_vec(), |key| [&b"("[..], key.as_bytes()].concat());
        let mut ask = redis::cmd("ZRANGEBYLEX");
        ask.arg(&self.indexes()[1])
            .arg(from)
            .arg("+")
            .arg("LIMIT")
            .arg(0)
            .arg(PAGE);
        names(Reply::of(self.read(ask).await?)?)
    }

    async fn decide_open(&self, names: &[RecordKey]) -> Result<Vec<Unresolved>, StoreError> {
        let mut keys = self.indexes().to_vec();
        keys.extend(names.iter().map(|key| self.record_key(key)));
        self.run(&self.scripts().unresolved, keys, Vec::new(), |mut reply| {
            let mut open = Vec::new();
            for key in names {
                if let Some(found) = reply.nested()? {
                    open.push(unresolved(*key, found)?);
                }
            }
            Ok(open)
        })
        .await
    }
}

/// What a record's key is called.
const RECORD: &str = "record";

/// How many names are looked at in one script.
const PAGE: usize = 128;

fn names<T: FromIterator<RecordKey>>(reply: Reply) -> Result<T, StoreError> {
    let names = reply.all()?.into_iter();
    names
        .map(|name| name.try_into().map(RecordKey::new).map_err(|_| unreadable()))
        .collect()
}

fn cap(begin: &Begin) -> Vec<u8> {
    match begin.most_open {
        u32::MAX => Vec::new(),
        most_open => most_open.to_string().into(),
    }
}

fn begun(mut reply: Reply, begin: &Begin) -> Result<Begun, StoreError> {
    Ok(match reply.word()?.as_str() {
        "acquired" => Begun::Acquired(Token {
            key: begin.key,
            epoch: reply.number()?,
            owner: begin.owner,
        }),
        "replay" => Begun::Replay(record::completion(&reply.bytes()?)?.ok_or_else(unreadable)?),
        "in_flight" => Begun::InFlight {
            retry_after: Duration::from_micros(reply.number()?),
        },
        "mismatch" => Begun::Mismatch,
        "unknown" => Begun::Unknown {
            since: Timestamp::from_unix_micros(reply.number()?),
        },
        "expired" => Begun::Expired,
        "too_many_open" => Begun::TooManyOpen,
        _ => return Err(unreadable()),
    })
}

fn held(mut reply: Reply) -> Result<Held, StoreError> {
    match reply.word()?.as_str() {
        "held" => Ok(Held::Held),
        "fenced" => Ok(Held::Fenced),
        _ => Err(unreadable()),
    }
}

fn settled(mut reply: Reply) -> Result<Settled, StoreError> {
    match reply.word()?.as_str() {
        "applied" => Ok(Settled::Applied),
        "already_applied" => Ok(Settled::AlreadyApplied),
        "fenced" => Phase::from_name(&reply.word()?)
            .map(Settled::Fenced)
            .ok_or_else(unreadable),
        "gone" => Ok(Settled::Gone),
        _ => Err(unreadable()),
    }
}

fn resolved(mut reply: Reply) -> Result<Resolved, StoreError> {
    match reply.word()?.as_str() {
        "resolved" => Ok(Resolved::Resolved),
        "stale" => Ok(Resolved::Stale),
        "too_early" => Ok(Resolved::TooEarly {
            retry_after: Duration::from_micros(reply.number()?),
        }),
        _ => Err(unreadable()),
    }
}

fn unresolved(key: RecordKey, mut reply: Reply) -> Result<Unresolved, StoreError> {
    Ok(Unresolved {
        key,
        tenant: tenant(&reply.bytes()?)?,
        epoch: reply.number()?,
        phase: Phase::from_name(&reply.word()?).ok_or_else(unreadable)?,
        since: Timestamp::from_unix_micros(reply.number()?),
        doubt: reply.maybe()?.map(|name| doubt(&name)).transpose()?,
    })
}
