//! Audit chains: the chain's advisory lock is held from reading the head to writing the next link.

use crate::Postgres;
use crate::asking::query;
use crate::error::{Failure, unreadable};
use crate::session::{clock, instant, lock, signed};
use sqlx::{PgConnection, Row};
use std::sync::Arc;
use tollgate_core::Timestamp;
use tollgate_core::store::Boxed;
use tollgate_core::store::audit::{AuditEntry, AuditStore, LinkHash, Receipt, chain};

/// The last entry, if there is one, and the time.
const HEAD: &str = concat!(
    "with ",
    clock!(),
    " select now, seq, hash from clock left join lateral \
     (select seq, hash from tollgate.audit where chain = $1 order by seq desc limit 1) as head on true"
);

const APPEND: &str = "insert into tollgate.audit (chain, seq, at, body, hash) values ($1, $2, $3, $4, $5)";

const READ: &str =
    "select seq, at, body, hash from tollgate.audit where chain = $1 and seq > $2 order by seq limit $3";

impl AuditStore for Postgres {
    type Future<T: Send + 'static> = Boxed<T>;

    fn append(&self, name: &str, body: Arc<[u8]>) -> Boxed<Receipt> {
        let name = name.to_owned();
        self.transaction(vec![lock("audit", name.as_bytes())], move |connection| {
            Box::pin(async move {
                let (now, last) = head(connection, &name).await?;
                let entry = chain::next(&name, last, now, body);
                query(APPEND)
                    .bind(&name)
                    .bind(signed(entry.seq))
                    .bind(entry.at.unix_micros())
                    .bind(&*entry.body)
                    .bind(&entry.hash.0[..])
                    .execute(connection)
                    .await
                    .map_err(Failure::Write)?;
                Ok(Receipt {
                    seq: entry.seq,
                    hash: entry.hash,
                })
            })
        })
    }

    fn head(&self, name: &str) -> Boxed<Receipt> {
        let name = name.to_owned();
        self.look(move |connection| Box::pin(async move { Ok(head(connection, &name).await?.1) }))
    }

    fn read(&self, name: &str, after: u64, limit: u32) -> Boxed<Vec<AuditEntry>> {
        let name = name.to_owned();
        self.look(move |connection| {
            Box::pin(async move {
                let rows = query(READ)
                    .bind(&name)
                    .bind(signed(after))
                    .bind(i64::from(limit))
                    .fetch_all(connection)
                    .await
                    .map_err(Failure::Before)?;
                rows.iter().map(entry).collect()
            })
        })
    }
}

async fn head(connection: &mut PgConnection, name: &str) -> Result<(Timestamp, Receipt), Failure> {
    let row = query(HEAD)
        .bind(name)
        .fetch_one(connection)
        .await
        .map_err(Failure::Before)?;
    let now = instant(row.try_get(0).map_err(Failure::Before)?);
    let Some(seq) = row.try_get::<Option<i64>, _>(1).map_err(Failure::Before)? else {
        return Ok((now, Receipt::START));
    };
    let last = Receipt {
        seq: seq.try_into().map_err(|_| unreadable("seq"))?,
        hash: LinkHash(row.try_get(2).map_err(Failure::Before)?),
    };
    Ok((now, last))
}

fn entry(row: &sqlx::postgres::PgRow) -> Result<AuditEntry, Failure> {
    let seq: i64 = row.try_get(0).map_err(Failure::Before)?;
    let body: &[u8] = row.try_get(2).map_err(Failure::Before)?;
    Ok(AuditEntry {
        seq: seq.try_into().map_err(|_| unreadable("seq"))?,
        at: instant(row.try_get(1).map_err(Failure::Before)?),
        body: body.into(),
        hash: LinkHash(row.try_get(3).map_err(Failure::Before)?),
    })
}
