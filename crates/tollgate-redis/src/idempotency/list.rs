//! The list of what is unresolved.

use super::CLAIMS;
use crate::error::unreadable;
use crate::record::{doubt, tenant};
use crate::reply::Reply;
use crate::server::Server;
use std::collections::BTreeSet;
use tollgate_core::Timestamp;
use tollgate_core::store::StoreError;
use tollgate_core::store::idempotency::{Phase, RecordKey, Unresolved};

/// How many names are looked at in one script.
const PAGE: usize = 128;

impl Server {
    /// What is unresolved, by name: unknown ones have an index by name, and claims whose lease lapsed are few, unless nobody sweeps.
    /// Those are looked for first: what the sweep makes unknown in between is met again among the unknown ones.
    pub(super) async fn list(
        &self,
        after: Option<RecordKey>,
        limit: usize,
    ) -> Result<Vec<Unresolved>, StoreError> {
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
        question.arg(&self.indexes()[0]).arg(-1).arg(0).arg(CLAIMS);
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

fn names<T: FromIterator<RecordKey>>(reply: Reply) -> Result<T, StoreError> {
    let names = reply.all()?.into_iter();
    names
        .map(|name| name.try_into().map(RecordKey::new).map_err(|_| unreadable()))
        .collect()
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
