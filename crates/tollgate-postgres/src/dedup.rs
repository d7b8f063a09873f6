//! Webhook events: as with idempotency records, what every event goes through is one guarded statement, and whatever else is met goes
//! the general way.

use crate::Postgres;
use crate::asking::query;
use crate::error::{Failure, unreadable};
use crate::session::{PATIENCE, clock, instant, later, micros, signed};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{PgConnection, Row};
use std::time::Duration;
use tollgate_core::Timestamp;
use tollgate_core::store::Boxed;
use tollgate_core::store::dedup::rule::{self, Change};
use tollgate_core::store::dedup::{Claim, Claimed, DedupStore, EventDigest, EventKey, EventRecord, Ticket};

const LOAD: &str = concat!(
    "with ",
    clock!(),
    " select now, event.xmin::text, digest, fence, done, until \
     from clock left join tollgate.dedup as event on key = $1"
);

/// Claims an event that is absent, forgettable, or whose claim lapsed; the claim's fence stands in the last column then. Tells what
/// stood there before.
const CLAIM: &str = concat!(
    "with ",
    clock!(),
    ", \
     found as materialized (select xmin::text as version, digest, fence, done, until from tollgate.dedup where key = $1), \
     fresh as (insert into tollgate.dedup (key, digest, fence, done, until) \
        select $1, $2, 1, false, ",
    later!("$3"),
    " from clock where not exists (select from found) \
        on conflict (key) do nothing returning fence), \
     again as (update tollgate.dedup as event set digest = $2, fence = event.fence + 1, done = false, until = ",
    later!("$3"),
    " from clock where key = $1 and until <= clock.now and (done or digest = $2) returning event.fence) \
     select now, version, digest, fence, done, until, (select fence from fresh union all select fence from again) \
     from clock left join found on true"
);

const COMMIT: &str = concat!(
    "with ",
    clock!(),
    " update tollgate.dedup as event set done = true, until = ",
    later!("$3"),
    " from clock where key = $1 and fence = $2 and not done"
);

const RELEASE: &str = concat!(
    "with ",
    clock!(),
    " update tollgate.dedup as event set until = clock.now from clock where key = $1 and fence = $2 and not done"
);

const UPDATE: &str = "update tollgate.dedup set digest = $2, fence = $3, done = $4, until = $5 where key = $1 and xmin = $6::xid";

const INSERT: &str = "insert into tollgate.dedup (key, digest, fence, done, until) values ($1, $2, $3, $4, $5) on conflict (key) do nothing";

/// What [`rule::is_forgettable`] says; rows that somebody else is writing are passed over.
const FORGET: &str = concat!(
    "with ",
    clock!(),
    ", due as materialized (select key from tollgate.dedup as event, clock \
     where until <= clock.now and (done or until <= clock.now - 86400000000) limit $1 for update of event skip locked) \
     delete from tollgate.dedup as event using due where event.key = due.key"
);

impl DedupStore for Postgres {
    type Future<T: Send + 'static> = Boxed<T>;

    fn claim(&self, claim: Claim) -> Boxed<Claimed> {
        self.step(move |connection| Box::pin(async move { take(connection, claim).await }))
    }

    fn commit(&self, ticket: Ticket, retention: Duration) -> Boxed<bool> {
        self.step(move |connection| {
            Box::pin(async move {
                let commit = bind_ticket(query(COMMIT), &ticket).bind(micros(retention));
                let decide =
                    |record: Option<&EventRecord>, now| rule::commit(record, &ticket, retention, now);
                at_once(connection, commit, &ticket.key, decide).await
            })
        })
    }

    fn release(&self, ticket: Ticket) -> Boxed<bool> {
        self.step(move |connection| {
            Box::pin(async move {
                let release = bind_ticket(query(RELEASE), &ticket);
                let decide = |record: Option<&EventRecord>, now| rule::release(record, &ticket, now);
                at_once(connection, release, &ticket.key, decide).await
            })
        })
    }

    fn forget(&self, limit: u32) -> Boxed<u64> {
        self.step(move |connection| {
            Box::pin(async move {
                let forgotten = query(FORGET).bind(i64::from(limit)).execute(connection).await;
                Ok(forgotten.map_err(Failure::Write)?.rows_affected())
            })
        })
    }
}

type Statement<'q> = Query<'q, sqlx::Postgres, PgArguments>;

fn bind_ticket<'q>(statement: Statement<'q>, ticket: &'q Ticket) -> Statement<'q> {
    statement.bind(&ticket.key.0[..]).bind(signed(ticket.fence))
}

/// Runs a statement that writes what the rule would, if it would; goes the general way otherwise.
async fn at_once(
    connection: &mut PgConnection,
    statement: Statement<'_>,
    key: &EventKey,
    decide: impl Fn(Option<&EventRecord>, Timestamp) -> (Change, bool),
) -> Result<bool, Failure> {
    match statement.execute(&mut *connection).await.map_err(Failure::Write) {
        Ok(done) if done.rows_affected() == 1 => return Ok(true),
        Ok(_) => {}
        Err(failure) if failure.is_lost_race() => {}
        Err(failure) => return Err(failure),
    }
    apply(connection, key, decide).await
}

async fn take(connection: &mut PgConnection, claim: Claim) -> Result<Claimed, Failure> {
    let row = query(CLAIM)
        .bind(&claim.key.0[..])
        .bind(&claim.digest.0[..])
        .bind(micros(claim.lease))
        .fetch_one(&mut *connection)
        .await
        .map_err(Failure::Write);
    match row {
        Ok(row) => {
            if let Some(fence) = row.try_get::<Option<i64>, _>(6).map_err(Failure::Before)? {
                return Ok(Claimed::Acquired(Ticket {
                    key: claim.key,
                    fence: fence.try_into().map_err(|_| unreadable("fence"))?,
                }));
            }
            let found = found(&row)?;
            let (change, claimed) = rule::claim(found.record.as_ref(), &claim, found.now);
            if found.record.is_some() && change == Change::Keep {
                return Ok(claimed);
            }
        }
        Err(failure) if failure.is_lost_race() => {}
        Err(failure) => return Err(failure),
    }
    apply(connection, &claim.key, |record, now| {
        rule::claim(record, &claim, now)
    })
    .await
}

/// What stands under a key, and when that was.
struct Found {
    now: Timestamp,
    version: Option<String>,
    record: Option<EventRecord>,
}

async fn apply<T>(
    connection: &mut PgConnection,
    key: &EventKey,
    decide: impl Fn(Option<&EventRecord>, Timestamp) -> (Change, T),
) -> Result<T, Failure> {
    for _ in 0..PATIENCE {
        let row = query(LOAD)
            .bind(&key.0[..])
            .fetch_one(&mut *connection)
            .await
            .map_err(Failure::Before)?;
        let found = found(&row)?;
        let (change, answer) = decide(found.record.as_ref(), found.now);
        let Change::Put(record) = change else {
            return Ok(answer);
        };
        match put(connection, key, found.version.as_deref(), &record).await {
            Ok(true) => return Ok(answer),
            Ok(false) => {}
            Err(failure) if failure.is_lost_race() => {}
            Err(failure) => return Err(failure),
        }
    }
    Err(Failure::Contended)
}

/// Writes the record if the row is still this version (`None`: still absent). Whether it was.
async fn put(
    connection: &mut PgConnection,
    key: &EventKey,
    version: Option<&str>,
    record: &EventRecord,
) -> Result<bool, Failure> {
    let write = query(if version.is_some() { UPDATE } else { INSERT })
        .bind(&key.0[..])
        .bind(&record.digest.0[..])
        .bind(signed(record.fence))
        .bind(record.done)
        .bind(record.until.unix_micros());
    let write = match version {
        Some(version) => write.bind(version),
        None => write,
    };
    let done = write.execute(connection).await.map_err(Failure::Write)?;
    Ok(done.rows_affected() == 1)
}

/// Reads the columns of [`LOAD`] and [`CLAIM`].
fn found(row: &PgRow) -> Result<Found, Failure> {
    let version: Option<String> = row.try_get(1).map_err(Failure::Before)?;
    Ok(Found {
        now: instant(row.try_get(0).map_err(Failure::Before)?),
        record: version.as_ref().map(|_| record(row)).transpose()?,
        version,
    })
}

fn record(row: &PgRow) -> Result<EventRecord, Failure> {
    let fence: i64 = row.try_get(3).map_err(Failure::Before)?;
    Ok(EventRecord {
        digest: EventDigest(row.try_get(2).map_err(Failure::Before)?),
        fence: fence.try_into().map_err(|_| unreadable("fence"))?,
        done: row.try_get(4).map_err(Failure::Before)?,
        until: instant(row.try_get(5).map_err(Failure::Before)?),
    })
}
