//! Saga journals: the fence is the guard of the statement that writes the records.

use crate::Postgres;
use crate::asking::{as_on, query, query_scalar};
use crate::error::{Failure, unreadable};
use crate::session::{PATIENCE, clock, later, micros, signed};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use std::sync::Arc;
use std::time::Duration;
use tollgate_core::store::saga::{Append, Created, Fenced, Journal, NewSaga, SagaId, SagaJournal, SagaState};
use tollgate_core::store::{Boxed, StoreError};

/// Creates a saga and its first records; tells which has its name and key otherwise. Neither, when that was created in between.
const CREATE: &str = concat!(
    "with ",
    clock!(),
    ", \
     fresh as (insert into tollgate.saga (id, name, key, state, epoch, records, lease_until) \
        select $1, $2, $3, 'running', 1, $4, ",
    later!("$5"),
    " from clock on conflict (name, key) do nothing returning id), \
     added as (insert into tollgate.saga_record (saga, seq, body) \
        select fresh.id, place - 1, body from fresh, unnest($6::bytea[]) with ordinality as record (body, place)) \
     select exists (select from fresh), (select id from tollgate.saga where name = $2 and key = $3)"
);

/// What core's rule says: an append is written under the saga's epoch, by an engine that has seen all records.
const APPEND: &str = concat!(
    "with ",
    clock!(),
    ", \
     fence as (update tollgate.saga as held set state = $4, records = records + $5, lease_until = ",
    later!("$6"),
    " \
        from clock where id = $1 and epoch = $2 and records = $3 returning id), \
     added as (insert into tollgate.saga_record (saga, seq, body) \
        select fence.id, $3 + place - 1, body from fence, unnest($7::bytea[]) with ordinality as record (body, place)) \
     select exists (select from fence)"
);

/// Sagas that another engine is claiming or writing are passed over.
const CLAIM: &str = concat!(
    "with ",
    clock!(),
    ", due as materialized (select id from tollgate.saga as held, clock \
        where state in ('running', 'unwinding') and lease_until <= clock.now and name = any($1) \
        order by lease_until limit $2 for update of held skip locked) \
     update tollgate.saga as held set epoch = epoch + 1, lease_until = ",
    later!("$3"),
    " \
     from due, clock where held.id = due.id returning held.id"
);

const CLAIM_ONE: &str = concat!(
    "with ",
    clock!(),
    " update tollgate.saga as held set epoch = epoch + 1, lease_until = ",
    later!("$2"),
    " \
     from clock where id = $1 returning held.id"
);

const RENEW: &str = concat!(
    "with ",
    clock!(),
    " update tollgate.saga as held set lease_until = ",
    later!("$3"),
    " \
     from clock where id = $1 and epoch = $2"
);

const JOURNALS: &str = "select id, name, key, state, epoch, \
     array (select body from tollgate.saga_record where saga = held.id order by seq) \
     from tollgate.saga as held where id = any($1)";

const LIST: &str = "select id from tollgate.saga where state = $1 and id > $2 order by id limit $3";

impl SagaJournal for Postgres {
    type Future<T: Send + 'static> = Boxed<T>;

    fn create(&self, saga: NewSaga) -> Boxed<Created> {
        self.step(move |connection| Box::pin(async move { create(connection, &saga).await }))
    }

    fn append(&self, append: Append) -> Boxed<Fenced> {
        self.step(move |connection| {
            Box::pin(async move {
                let written = query_scalar(APPEND)
                    .bind(&append.id.0[..])
                    .bind(signed(append.epoch))
                    .bind(signed(append.seen))
                    .bind(append.state.as_str())
                    .bind(count(&append.records))
                    .bind(micros(append.lease))
                    .bind(bodies(&append.records))
                    .fetch_one(connection)
                    .await;
                written.map(fenced_unless).map_err(Failure::Write)
            })
        })
    }

    fn claim(&self, names: &[Arc<str>], lease: Duration, limit: u32) -> Boxed<Vec<Journal>> {
        let names: Vec<String> = names.iter().map(|name| name.as_ref().to_owned()).collect();
        // the records are read under the claim's row locks: what a slow engine appended before belongs to them
        self.transaction(Vec::new(), move |connection| {
            Box::pin(async move {
                let claimed = query_scalar(CLAIM)
                    .bind(names)
                    .bind(i64::from(limit))
                    .bind(micros(lease))
                    .fetch_all(&mut *connection)
                    .await;
                journals(connection, claimed.map_err(Failure::Write)?).await
            })
        })
    }

    fn claim_one(&self, id: SagaId, lease: Duration) -> Boxed<Option<Journal>> {
        self.transaction(Vec::new(), move |connection| {
            Box::pin(async move {
                let claimed = query_scalar(CLAIM_ONE)
                    .bind(&id.0[..])
                    .bind(micros(lease))
                    .fetch_all(&mut *connection)
                    .await;
                let found = journals(connection, claimed.map_err(Failure::Write)?).await?;
                Ok(found.into_iter().next())
            })
        })
    }

    fn renew(&self, id: SagaId, epoch: u64, lease: Duration) -> Boxed<Fenced> {
        self.step(move |connection| {
            Box::pin(async move {
                let renewed = query(RENEW)
                    .bind(&id.0[..])
                    .bind(signed(epoch))
                    .bind(micros(lease))
                    .execute(connection)
                    .await;
                let renewed = renewed.map_err(Failure::Write)?;
                Ok(fenced_unless(renewed.rows_affected() == 1))
            })
        })
    }

    fn load(&self, id: SagaId) -> Boxed<Option<Journal>> {
        self.look(move |connection| {
            Box::pin(async move {
                Ok(journals(connection, vec![id.0.to_vec()])
                    .await?
                    .into_iter()
                    .next())
            })
        })
    }

    fn list(&self, state: SagaState, after: Option<SagaId>, limit: u32) -> Boxed<Vec<SagaId>> {
        self.look(move |connection| {
            Box::pin(async move {
                let after = after.as_ref().map_or(&[][..], |id| &id.0[..]);
                let found: Vec<[u8; 16]> = query_scalar(LIST)
                    .bind(state.as_str())
                    .bind(after)
                    .bind(i64::from(limit))
                    .fetch_all(connection)
                    .await
                    .map_err(Failure::Before)?;
                Ok(found.into_iter().map(SagaId).collect())
            })
        })
    }
}

impl Postgres {
    /// Creates a saga within the caller's transaction, so that it exists if and only if the caller's own rows do: an order and the saga
    /// that fulfils it. Start the saga's engine on it once the transaction is committed; or leave it to whoever claims it next, when
    /// its lease has lapsed.
    ///
    /// ```no_run
    /// use tollgate_core::store::saga::NewSaga;
    /// use tollgate_postgres::Postgres;
    ///
    /// async fn order(pool: &sqlx::PgPool, saga: NewSaga) -> Result<(), Box<dyn std::error::Error>> {
    ///     let mut transaction = pool.begin().await?;
    ///     sqlx::query("insert into purchase (id) values (7)").execute(&mut *transaction).await?;
    ///     Postgres::create_in(&mut transaction, &saga).await?;
    ///     transaction.commit().await?; // the order and its saga, together
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// The database failed: roll the transaction back.
    pub async fn create_in(transaction: &mut PgConnection, saga: &NewSaga) -> Result<Created, StoreError> {
        let created = as_on(transaction, async |connection| create(connection, saga).await);
        created.await.map_err(Failure::inside)
    }
}

const fn fenced_unless(written: bool) -> Fenced {
    if written { Fenced::No } else { Fenced::Yes }
}

async fn create(connection: &mut PgConnection, saga: &NewSaga) -> Result<Created, Failure> {
    for _ in 0..PATIENCE {
        let row = query(CREATE)
            .bind(&saga.id.0[..])
            .bind(&*saga.name)
            .bind(&*saga.key)
            .bind(count(&saga.records))
            .bind(micros(saga.lease))
            .bind(bodies(&saga.records))
            .fetch_one(&mut *connection)
            .await
            .map_err(Failure::Write)?;
        if row.try_get(0).map_err(Failure::Before)? {
            return Ok(Created::Created);
        }
        let exists: Option<[u8; 16]> = row.try_get(1).map_err(Failure::Before)?;
        if let Some(id) = exists {
            return Ok(Created::Exists(SagaId(id)));
        }
    }
    Err(Failure::Contended)
}

fn count(records: &[Arc<[u8]>]) -> i64 {
    i64::try_from(records.len()).unwrap_or(i64::MAX)
}

fn bodies(records: &[Arc<[u8]>]) -> Vec<&[u8]> {
    records.iter().map(|record| &**record).collect()
}

async fn journals(connection: &mut PgConnection, ids: Vec<Vec<u8>>) -> Result<Vec<Journal>, Failure> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = query(JOURNALS)
        .bind(ids)
        .fetch_all(connection)
        .await
        .map_err(Failure::Before)?;
    rows.iter().map(journal).collect()
}

fn journal(row: &PgRow) -> Result<Journal, Failure> {
    let name: &str = row.try_get(1).map_err(Failure::Before)?;
    let key: &str = row.try_get(2).map_err(Failure::Before)?;
    let state: &str = row.try_get(3).map_err(Failure::Before)?;
    let epoch: i64 = row.try_get(4).map_err(Failure::Before)?;
    let records: Vec<Vec<u8>> = row.try_get(5).map_err(Failure::Before)?;
    Ok(Journal {
        id: SagaId(row.try_get(0).map_err(Failure::Before)?),
        name: name.into(),
        key: key.into(),
        state: SagaState::from_name(state).ok_or_else(|| unreadable("state"))?,
        epoch: epoch.try_into().map_err(|_| unreadable("epoch"))?,
        records: records.into_iter().map(Into::into).collect(),
    })
}
