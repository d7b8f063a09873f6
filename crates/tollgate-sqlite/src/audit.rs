//! Audit chains: the head is read and the next link written in one transaction.

use crate::error::unreadable;
use crate::{Answer, Sqlite};
use rusqlite::{Connection, OptionalExtension, params};
use std::sync::Arc;
use tollgate_core::Timestamp;
use tollgate_core::store::audit::{AuditEntry, AuditStore, LinkHash, Receipt, chain};

impl AuditStore for Sqlite {
    type Future<T: Send + 'static> = Answer<T>;

    fn append(&self, name: &str, body: Arc<[u8]>) -> Answer<Receipt> {
        let name = name.to_owned();
        self.step(move |connection, now| {
            let entry = chain::next(&name, head(connection, &name)?, now, body);
            let seq = i64::try_from(entry.seq).unwrap_or(i64::MAX);
            connection
                .prepare_cached("insert into audit (chain, seq, at, body, hash) values (?1, ?2, ?3, ?4, ?5)")?
                .execute(params![
                    name,
                    seq,
                    entry.at.unix_micros(),
                    &*entry.body,
                    &entry.hash.0[..]
                ])?;
            Ok(Receipt {
                seq: entry.seq,
                hash: entry.hash,
            })
        })
    }

    fn head(&self, name: &str) -> Answer<Receipt> {
        let name = name.to_owned();
        self.step(move |connection, _| head(connection, &name))
    }

    fn read(&self, name: &str, after: u64, limit: u32) -> Answer<Vec<AuditEntry>> {
        let name = name.to_owned();
        self.step(move |connection, _| {
            connection
                .prepare_cached("select seq, at, body, hash from audit where chain = ?1 and seq > ?2 order by seq limit ?3")?
                .query_map(params![name, i64::try_from(after).unwrap_or(i64::MAX), limit], |row| {
                    Ok(AuditEntry {
                        seq: row.get::<_, i64>(0)?.try_into().map_err(|_| unreadable("seq"))?,
                        at: Timestamp::from_unix_micros(row.get(1)?),
                        body: row.get::<_, Vec<u8>>(2)?.into(),
                        hash: LinkHash(row.get(3)?),
                    })
                })?
                .collect()
        })
    }
}

fn head(connection: &Connection, name: &str) -> rusqlite::Result<Receipt> {
    let last = connection
        .prepare_cached("select seq, hash from audit where chain = ?1 order by seq desc limit 1")?
        .query_row([name], |row| {
            let seq = row.get::<_, i64>(0)?.try_into().map_err(|_| unreadable("seq"))?;
            Ok(Receipt {
                seq,
                hash: LinkHash(row.get(1)?),
            })
        })
        .optional()?;
    Ok(last.unwrap_or(Receipt::START))
}
