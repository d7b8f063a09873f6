//! What reconciliation runs leave: one guarded statement writes it, core's rule says what an answer of "not written" means.

use crate::Postgres;
use crate::asking::query;
use crate::error::{Failure, unreadable};
use crate::session::{PATIENCE, signed};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use std::sync::Arc;
use tollgate_core::store::Boxed;
use tollgate_core::store::carry_over::{self, Carried, CarryOverStore, Replaced};

const LOAD: &str = "select version, body from tollgate.carry_over where run = $1";

/// Writes the next version if the last one was seen; tells what stood there before.
const REPLACE: &str = "with found as materialized (select version, body from tollgate.carry_over where run = $1), \
     first as (insert into tollgate.carry_over (run, version, body) select $1, 1, $3 \
        where $2 = 0 and not exists (select from found) on conflict (run) do nothing returning version), \
     next as (update tollgate.carry_over set version = version + 1, body = $3 where run = $1 and version = $2 \
        returning version) \
     select (select version from first union all select version from next), found.version, found.body \
     from (select) as one left join found on true";

impl CarryOverStore for Postgres {
    type Future<T: Send + 'static> = Boxed<T>;

    fn load(&self, run: &str) -> Boxed<Option<Carried>> {
        let run = run.to_owned();
        self.look(move |connection| {
            Box::pin(async move {
                let row = query(LOAD).bind(run).fetch_optional(connection).await;
                row.map_err(Failure::Before)?
                    .map_or(Ok(None), |row| carried(&row, 0))
            })
        })
    }

    fn replace(&self, run: &str, seen: u64, body: Arc<[u8]>) -> Boxed<Replaced> {
        let run = run.to_owned();
        self.step(move |connection| Box::pin(async move { replace(connection, &run, seen, &body).await }))
    }
}

async fn replace(
    connection: &mut PgConnection,
    run: &str,
    seen: u64,
    body: &Arc<[u8]>,
) -> Result<Replaced, Failure> {
    for _ in 0..PATIENCE {
        let row = query(REPLACE)
            .bind(run)
            .bind(signed(seen))
            .bind(&**body)
            .fetch_one(&mut *connection)
            .await
            .map_err(Failure::Write);
        let row = match row {
            Err(failure) if failure.is_lost_race() => continue,
            row => row?,
        };
        if let Some(written) = row.try_get::<Option<i64>, _>(0).map_err(Failure::Before)? {
            let version = written.try_into().map_err(|_| unreadable("version"))?;
            return Ok(Replaced::Replaced { version });
        }
        let found = carried(&row, 1)?;
        // the rule would write: somebody else was faster, and is seen the next time
        if let (None, answer) = carry_over::replace(found.as_ref(), seen, body) {
            return Ok(answer);
        }
    }
    Err(Failure::Contended)
}

fn carried(row: &PgRow, at: usize) -> Result<Option<Carried>, Failure> {
    let Some(version) = row.try_get::<Option<i64>, _>(at).map_err(Failure::Before)? else {
        return Ok(None);
    };
    let body: &[u8] = row.try_get(at + 1).map_err(Failure::Before)?;
    Ok(Some(Carried {
        version: version.try_into().map_err(|_| unreadable("version"))?,
        body: body.into(),
    }))
}
