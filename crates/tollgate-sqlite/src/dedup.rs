//! Webhook events: load, ask the rule, write the change.

use crate::error::unreadable;
use crate::{Answer, Sqlite};
use rusqlite::{OptionalExtension, params};
use std::time::Duration;
use tollgate_core::Timestamp;
use tollgate_core::store::dedup::rule::{self, Change};
use tollgate_core::store::dedup::{Claim, Claimed, DedupStore, EventDigest, EventKey, EventRecord, Ticket};

impl DedupStore for Sqlite {
    type Future<T: Send + 'static> = Answer<T>;

    fn claim(&self, claim: Claim) -> Answer<Claimed> {
        self.apply_to_event(claim.key, move |record, now| rule::claim(record, &claim, now))
    }

    fn commit(&self, ticket: Ticket, retention: Duration) -> Answer<bool> {
        self.apply_to_event(ticket.key, move |record, now| {
            rule::commit(record, &ticket, retention, now)
        })
    }

    fn release(&self, ticket: Ticket) -> Answer<bool> {
        self.apply_to_event(ticket.key, move |record, now| rule::release(record, &ticket, now))
    }

    fn forget(&self, limit: u32) -> Answer<u64> {
        self.step(move |connection, now| {
            let day = 24 * 60 * 60 * 1_000_000i64;
            let forgotten = connection
                .prepare_cached(
                    "delete from dedup where key in (select key from dedup where until <= ?1 and (done or until <= ?2) limit ?3)",
                )?
                .execute(params![now.unix_micros(), now.unix_micros().saturating_sub(day), limit])?;
            Ok(u64::try_from(forgotten).unwrap_or(u64::MAX))
        })
    }
}

impl Sqlite {
    fn apply_to_event<T: Send + 'static>(
        &self,
        key: EventKey,
        decide: impl FnOnce(Option<&EventRecord>, Timestamp) -> (Change, T) + Send + 'static,
    ) -> Answer<T> {
        self.step(move |connection, now| {
            let record = connection
                .prepare_cached("select digest, fence, done, until from dedup where key = ?1")?
                .query_row([&key.0[..]], |row| {
                    Ok(EventRecord {
                        digest: EventDigest(row.get(0)?),
                        fence: row.get::<_, i64>(1)?.try_into().map_err(|_| unreadable("fence"))?,
                        done: row.get(2)?,
                        until: Timestamp::from_unix_micros(row.get(3)?),
                    })
                })
                .optional()?;
            let (change, answer) = decide(record.as_ref(), now);
            if let Change::Put(record) = change {
                connection
                    .prepare_cached("insert or replace into dedup (key, digest, fence, done, until) values (?1, ?2, ?3, ?4, ?5)")?
                    .execute(params![
                        &key.0[..],
                        &record.digest.0[..],
                        i64::try_from(record.fence).unwrap_or(i64::MAX),
                        record.done,
                        record.until.unix_micros()
                    ])?;
            }
            Ok(answer)
        })
    }
}
