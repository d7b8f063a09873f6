//! Idempotency records: one hash each; the rule runs in the server, one script per transition.

use crate::Redis;
use crate::error::unreadable;
use crate::record::{completion, doubt, record, tenant};
use crate::reply::Reply;
use crate::script::{BATCH, micros};
use std::time::Duration;
use tollgate_core::Timestamp;
use tollgate_core::store::idempotency::{
    Begin, Begun, Completion, Doubt, Held, IdempotencyStore, Phase, Record, RecordKey, Resolution, Resolve,
    Resolved, Settled, Settlement, Tenant, Token, Unresolved,
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
            let keys = vec![this.key("open")];
            this.run(&this.scripts().now, keys, Vec::new(), |mut reply| {
                reply.number().map(Timestamp::from_unix_micros)
            })
            .await
        })
    }

    fn begin(&self, begin: Begin) -> Boxed<Begun> {
        let this = self.clone();
        Box::pin(async move {
            let arguments = vec![
                begin.key.as_bytes().to_vec(),
                begin.fingerprint.as_bytes().to_vec(),
                begin.owner.0.to_be_bytes().to_vec(),
                micros(begin.lease),
                micros(begin.retention),
                Vec::from(if begin.arm { b"1" } else { b"0" }),
                name_of(begin.tenant),
                cap(&begin),
            ];
            this.run(&this.scripts().begin, this.keys(&begin.key), arguments, |reply| {
                begun(reply, &begin)
            })
            .await
        })
    }

    fn arm(&self, token: Token, lease: Duration) -> Boxed<Held> {
        let this = self.clone();
        Box::pin(async move {
            let arguments = held_with(&token, lease);
            this.run(&this.scripts().arm, this.keys(&token.key), arguments, held)
                .await
        })
    }

    fn renew(&self, token: Token, lease: Duration) -> Boxed<Held> {
        let this = self.clone();
        Box::pin(async move {
            let arguments = held_with(&token, lease);
            this.run(&this.scripts().renew, this.keys(&token.key), arguments, held)
                .await
        })
    }

    fn settle(&self, token: Token, settlement: &Settlement) -> Boxed<Settled> {
        let this = self.clone();
        let (phase, doubt, completion) = match settlement {
            Settlement::Completed(completion) => (Phase::Completed, None, Some(completion.clone())),
            Settlement::Released => (Phase::Released, None, None),
            Settlement::Unknown(doubt) => (Phase::Unknown, Some(*doubt), None),
        };
        Box::pin(async move {
            let mut arguments = holder(&token);
            arguments.extend([
                phase.as_str().into(),
                doubt.map_or("", Doubt::as_str).into(),
                micros(this.forget_after()),
            ]);
            arguments.extend(completion.iter().flat_map(pairs));
            this.run(&this.scripts().settle, this.keys(&token.key), arguments, settled)
                .await
        })
    }

    fn resolve(&self, resolve: Resolve) -> Boxed<Resolved> {
        let this = self.clone();
        Box::pin(async move {
            let (phase, completion) = match &resolve.resolution {
                Resolution::Completed(completion) => (Phase::Completed, Some(completion)),
                Resolution::Released => (Phase::Released, None),
            };
            let mut arguments = vec![
                resolve.key.as_bytes().to_vec(),
                resolve.epoch.to_string().into(),
                phase.as_str().into(),
                resolve.evidence.actor.as_bytes().to_vec(),
                resolve.evidence.reason.as_bytes().to_vec(),
                micros(this.forget_after()),
                resolve.as_of.unix_micros().to_string().into(),
            ];
            arguments.extend(completion.into_iter().flat_map(pairs));
            this.run(
                &this.scripts().resolve,
                this.keys(&resolve.key),
                arguments,
                resolved,
            )
            .await
        })
    }

    fn get(&self, key: RecordKey) -> Boxed<Option<Record>> {
        let this = self.clone();
        Box::pin(async move {
            let mut ask = redis::cmd("HGETALL");
            ask.arg(this.record_key(key.as_bytes()));
            let fields = this.read(ask).await?.all()?;
            if fields.is_empty() {
                return Ok(None);
            }
            record(fields).map(Some)
        })
    }

    fn unresolved(&self, after: Option<RecordKey>, limit: u32) -> Boxed<Vec<Unresolved>> {
        let this = self.clone();
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Box::pin(async move {
            let (mut after, mut open) = (after, Vec::new());
            while open.len() < limit {
                // more are looked at than are asked for: armed ones within their lease are in the index too
                let members = this.open_after(after).await?;
                let Some(last) = members.last() else { break };
                after = Some(*last);
                open.extend(this.decide_open(&members).await?);
            }
            open.truncate(limit);
            Ok(open)
        })
    }

    fn sweep(&self, limit: u32) -> Boxed<u64> {
        let this = self.clone();
        Box::pin(async move {
            let indexes = this.indexes();
            this.upkeep(
                &this.scripts().sweep,
                &indexes[1],
                &indexes,
                None,
                limit,
                |member| this.record_key(member),
            )
            .await
        })
    }

    fn collect(&self, tombstone: Duration, limit: u32) -> Boxed<u64> {
        let this = self.clone();
        Box::pin(async move {
            let (indexes, tombstone) = (this.indexes(), Some(micros(tombstone)));
            this.upkeep(
                &this.scripts().collect,
                &indexes[2],
                &indexes,
                tombstone,
                limit,
                |member| this.record_key(member),
            )
            .await
        })
    }
}

impl Redis {
    fn record_key(&self, name: &[u8]) -> Vec<u8> {
        self.key_of("record", name)
    }

    /// The indexes, in the order in which the scripts know them.
    fn indexes(&self) -> Vec<Vec<u8>> {
        ["open", "armed", "due", "doubtful"]
            .map(|index| self.key(index))
            .into()
    }

    /// What a script about one record is given.
    fn keys(&self, key: &RecordKey) -> Vec<Vec<u8>> {
        let mut keys = self.indexes();
        keys.push(self.record_key(key.as_bytes()));
        keys
    }

    /// The next names in the index of what is armed or unknown.
    async fn open_after(&self, after: Option<RecordKey>) -> Result<Vec<RecordKey>, StoreError> {
        let from = after.map_or_else(|| b"-".to_vec(), |key| [&b"("[..], key.as_bytes()].concat());
        let mut ask = redis::cmd("ZRANGEBYLEX");
        ask.arg(self.key("open"))
            .arg(from)
            .arg("+")
            .arg("LIMIT")
            .arg(0)
            .arg(BATCH);
        let members = self.read(ask).await?.all()?;
        members
            .into_iter()
            .map(|member| member.try_into().map(RecordKey::new).map_err(|_| unreadable()))
            .collect()
    }

    async fn decide_open(&self, names: &[RecordKey]) -> Result<Vec<Unresolved>, StoreError> {
        let mut keys = self.indexes();
        keys.extend(names.iter().map(|key| self.record_key(key.as_bytes())));
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

/// A tenant in the index and the record: at a fixed width, so that its names stand together.
fn name_of(tenant: Tenant) -> Vec<u8> {
    format!("{:016x}", tenant.0).into()
}

fn cap(begin: &Begin) -> Vec<u8> {
    match begin.most_open {
        u32::MAX => Vec::new(),
        most_open => most_open.to_string().into(),
    }
}

fn holder(token: &Token) -> Vec<Vec<u8>> {
    vec![
        token.key.as_bytes().to_vec(),
        token.epoch.to_string().into(),
        token.owner.0.to_be_bytes().to_vec(),
    ]
}

fn held_with(token: &Token, lease: Duration) -> Vec<Vec<u8>> {
    let mut arguments = holder(token);
    arguments.push(micros(lease));
    arguments
}

/// A completion as pairs of field and value; what is not there has no pair.
fn pairs(completion: &Completion) -> Vec<Vec<u8>> {
    let flag = |flag: bool| Vec::from(if flag { b"1" } else { b"0" });
    let mut pairs = vec![b"executed".to_vec(), flag(completion.executed)];
    if let Some(envelope) = &completion.envelope {
        pairs.extend([b"ok".to_vec(), flag(envelope.ok)]);
        pairs.extend([b"status".to_vec(), envelope.status.to_string().into()]);
        pairs.extend(
            envelope
                .head
                .iter()
                .flat_map(|head| [b"head".to_vec(), head.to_vec()]),
        );
        pairs.extend([b"body".to_vec(), envelope.body.to_vec()]);
    }
    pairs
}

fn begun(mut reply: Reply, begin: &Begin) -> Result<Begun, StoreError> {
    Ok(match reply.word()?.as_str() {
        "acquired" => Begun::Acquired(Token {
            key: begin.key,
            epoch: reply.number()?,
            owner: begin.owner,
        }),
        "replay" => {
            let executed = reply.maybe()?;
            let answer = [reply.maybe()?, reply.maybe()?, reply.maybe()?, reply.maybe()?];
            Begun::Replay(completion(executed, answer)?.ok_or_else(unreadable)?)
        }
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
