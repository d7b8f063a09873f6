//! What reconciliation runs leave: load, ask the rule, write the change.

use crate::error::unreadable;
use crate::{Answer, Sqlite};
use rusqlite::{Connection, OptionalExtension, params};
use std::sync::Arc;
use tollgate_core::store::carry_over::{Carried, CarryOverStore, Replaced, replace};

impl CarryOverStore for Sqlite {
    type Future<T: Send + 'static> = Answer<T>;

    fn load(&self, run: &str) -> Answer<Option<Carried>> {
        let run = run.to_owned();
        self.step(move |connection, _| find(connection, &run))
    }

    fn replace(&self, run: &str, seen: u64, body: Arc<[u8]>) -> Answer<Replaced> {
        let run = run.to_owned();
        self.step(move |connection, _| {
            let (change, answer) = replace(find(connection, &run)?.as_ref(), seen, &body);
            if let Some(carried) = change {
                let version = i64::try_from(carried.version).map_err(|_| unreadable("version"))?;
                connection
                    .prepare_cached(
                        "insert or replace into carry_over (run, version, body) values (?1, ?2, ?3)",
                    )?
                    .execute(params![run, version, &carried.body[..]])?;
            }
            Ok(answer)
        })
    }
}

fn find(connection: &Connection, run: &str) -> rusqlite::Result<Option<Carried>> {
    connection
        .prepare_cached("select version, body from carry_over where run = ?1")?
        .query_row([run], |row| {
            Ok(Carried {
                version: row
                    .get::<_, i64>(0)?
                    .try_into()
                    .map_err(|_| unreadable("version"))?,
                body: row.get::<_, Vec<u8>>(1)?.into(),
            })
        })
        .optional()
}
