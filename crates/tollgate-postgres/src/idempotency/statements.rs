//! What is asked of the database.
//!
//! Each of the rule's transitions that a guarded call goes through is one guarded statement: it writes if its `where` says that the rule
//! would, and nothing otherwise. Then the general way has to be gone: [`LOAD`], the rule, then [`UPDATE`], [`INSERT`] or [`REMOVE`].

use crate::session::{clock, forgetful, later, read_once, read_only, time};

/// How many outcomes of a tenant are unknown, at most so many. A doubt stands where an outcome is unknown, and nowhere else.
macro_rules! open_of {
    ($tenant:literal, $at_most:literal) => {
        concat!(
            "(select count(*) from (select from tollgate.idempotency where tenant = ",
            $tenant,
            " and doubt is not null limit ",
            $at_most,
            ") as doubtful)"
        )
    };
}

macro_rules! columns {
    () => {
        "phase, epoch, owner, fingerprint, lease_until, expires_at, retention, changed_at, doubt, executed, \
         answer_ok, answer_status, answer_head, answer_body, actor, reason, tenant"
    };
}

pub(super) const LOAD: &str = concat!(
    "select ",
    time!(),
    ", ",
    forgetful!(),
    ", ",
    read_only!(),
    ", held.xmin::text, awaited, ",
    columns!(),
    " from (select) as always left join tollgate.idempotency as held on key = $1"
);

/// Claims a key that is absent, for epoch 1.
///
/// Plain on purpose. Every new key pays for this statement, and most of what a statement as small as this costs is not what it does but
/// what it might have to do: each join, each subquery and each column of a result that the server sets up for it. Where the key exists
/// already, nothing is written and nothing is locked, so a replay costs no flush, and the general way finds out what stands there.
macro_rules! begin {
    ($unless:expr) => {
        concat!(
            "insert into tollgate.idempotency (key, phase, epoch, owner, fingerprint, lease_until, retention, changed_at, tenant) \
             select $1, $2, 1, $3, $4, ",
            later!("$5"),
            ", $6, clock.now, $7 from ",
            read_once!(),
            " where not ",
            forgetful!(),
            $unless,
            " on conflict (key) do nothing"
        )
    };
}

pub(super) const BEGIN: &str = begin!("");

/// As [`BEGIN`], unless so many ($8) outcomes of the tenant are unknown, as far as was committed when the statement began.
pub(super) const BEGIN_WITHIN: &str = begin!(concat!(" and ", open_of!("$7", "$8"), " < $8"));

/// How many outcomes of a tenant are unknown, at most so many.
pub(super) const OPEN_OF: &str = concat!("select ", open_of!("$1", "$2"));

/// As [`BEGIN`], for several keys that are all different; tells which of them it claimed. Whoever sends it sorts the keys: two that claim
/// the same keys in different orders would wait for each other.
///
/// `(select $1)` hides from the planner how many there are: it would make a plan for every number, and that takes longer than the
/// statement does.
pub(super) const BEGIN_TOGETHER: &str = concat!(
    "insert into tollgate.idempotency (key, phase, epoch, owner, fingerprint, lease_until, retention, changed_at, tenant) \
     select step.key, step.phase, 1, step.owner, step.fingerprint, ",
    later!("step.lease"),
    ", step.retention, clock.now, step.tenant from ",
    read_once!(),
    ", unnest((select $1::bytea[]), $2::text[], $3::bytea[], $4::bytea[], $5::bigint[], $6::bigint[], $7::bigint[]) \
        as step (key, phase, owner, fingerprint, lease, retention, tenant) where not ",
    forgetful!(),
    " on conflict (key) do nothing returning key"
);

pub(super) const ARM: &str = concat!(
    "with ",
    clock!(),
    " update tollgate.idempotency as held set phase = 'armed', lease_until = ",
    later!("$4"),
    ", changed_at = clock.now from clock where key = $1 and epoch = $2 and owner = $3 and phase = 'prepared' \
     and lease_until >= clock.now and not clock.forgetful"
);

pub(super) const RENEW: &str = concat!(
    "with ",
    clock!(),
    " update tollgate.idempotency as held set lease_until = ",
    later!("$4"),
    " from clock where key = $1 and epoch = $2 and owner = $3 \
     and (phase = 'armed' or (phase = 'prepared' and lease_until >= clock.now)) and not clock.forgetful"
);

/// Whether the claim of a row stands for this settlement, or its owner alone knew how it ended, and nobody waits for that: who has to be
/// told goes the general way.
macro_rules! to_be_settled {
    ($as:literal) => {
        concat!(
            "(phase in ('prepared', 'armed') or (phase = 'unknown' and (",
            $as,
            " = 'completed' or (",
            $as,
            " = 'released' and doubt = 'owner_lost')))) and not awaited"
        )
    };
}

/// Settles a claim.
pub(super) const SETTLE: &str = concat!(
    "update tollgate.idempotency as held set phase = $4, doubt = $5, executed = $6, answer_ok = $7, \
     answer_status = $8, answer_head = $9, answer_body = $10, changed_at = clock.now, \
     expires_at = case when $4 = 'unknown' then held.expires_at else ",
    later!("held.retention"),
    " end from ",
    read_once!(),
    " where key = $1 and epoch = $2 and owner = $3 and ",
    to_be_settled!("$4"),
);

/// As [`SETTLE`], for several keys that are all different; tells which of them it settled. A row that somebody holds is passed over, so
/// that nobody waits for another's row: whoever asked for it goes alone, and waits there.
///
/// It finds and locks each row as it stands now, fence and all, and then writes what it locked: an insert that always meets the row. It is
/// written so, and not as an `update … from`, because an upsert finds its row by the key's index, whatever the planner thinks. A join it
/// may turn into a walk through the whole table, and where a plan is made and kept while the table is small, it does. To find the row that
/// it locks, the planner takes the index, too, unless the table has no more than a few pages when the plan is made. Such a plan is kept
/// until the table is analyzed, and walks once for each step.
pub(super) const SETTLE_TOGETHER: &str = concat!(
    "insert into tollgate.idempotency (key, phase, epoch, owner, fingerprint, tenant, lease_until, retention, doubt, executed, \
        answer_ok, answer_status, answer_head, answer_body, changed_at, expires_at) \
     select step.key, step.phase, step.epoch, step.owner, locked.fingerprint, locked.tenant, locked.lease_until, locked.retention, \
        step.doubt, step.executed, step.answer_ok, step.answer_status, step.answer_head, step.answer_body, clock.now, \
        case when step.phase = 'unknown' then locked.expires_at else ",
    later!("locked.retention"),
    " end from ",
    read_once!(),
    ", unnest((select $1::bytea[]), $2::bigint[], $3::bytea[], $4::text[], $5::text[], $6::boolean[], $7::boolean[], $8::integer[], \
        $9::bytea[], $10::bytea[]) \
        as step (key, epoch, owner, phase, doubt, executed, answer_ok, answer_status, answer_head, answer_body), \
     lateral (select fingerprint, tenant, lease_until, retention, expires_at from tollgate.idempotency \
        where key = step.key and epoch = step.epoch and owner = step.owner and ",
    to_be_settled!("step.phase"),
    " for no key update skip locked) as locked \
     on conflict (key) do update set phase = excluded.phase, doubt = excluded.doubt, executed = excluded.executed, \
        answer_ok = excluded.answer_ok, answer_status = excluded.answer_status, answer_head = excluded.answer_head, \
        answer_body = excluded.answer_body, changed_at = excluded.changed_at, expires_at = excluded.expires_at \
     returning key"
);

/// What time it is.
pub(super) const NOW: &str = concat!("select ", time!());

/// Ends a doubt, if nobody waits for that. Absence is declared only from a look that began after the owner's lease had lapsed.
pub(super) const RESOLVE: &str = concat!(
    "with ",
    clock!(),
    " update tollgate.idempotency as held set phase = $3, doubt = null, executed = $4, answer_ok = $5, \
     answer_status = $6, answer_head = $7, answer_body = $8, actor = $9, reason = $10, changed_at = clock.now, expires_at = ",
    later!("held.retention"),
    " from clock where key = $1 and epoch = $2 and (phase = 'unknown' or (phase = 'armed' and lease_until < clock.now)) \
     and ($3 = 'completed' or lease_until < least($11, clock.now)) and not awaited"
);

/// Has those who settle a claim that is in flight say so. How long its lease still runs; no row when nothing is in flight.
pub(super) const AWAIT: &str = concat!(
    "with ",
    clock!(),
    ", marked as (update tollgate.idempotency as held set awaited = true from clock \
        where key = $1 and phase in ('prepared', 'armed') and lease_until >= clock.now and not awaited \
        returning lease_until - clock.now as left_over) \
     select left_over from marked union all select lease_until - clock.now from tollgate.idempotency, clock \
     where key = $1 and phase in ('prepared', 'armed') and lease_until >= clock.now and awaited"
);

/// A claim stands only where the server does not forget it.
macro_rules! remembered {
    () => {
        concat!("($2 not in ('prepared', 'armed') or not ", forgetful!(), ")")
    };
}

/// PostgreSQL marks each version of a row with the transaction that wrote it: the row is written if it is still that version. Tells
/// those who wait, if it is to ($20): when the commit is done, they are told.
pub(super) const UPDATE: &str = concat!(
    "update tollgate.idempotency as held set phase = $2, epoch = $3, owner = $4, fingerprint = $5, lease_until = $6, \
     expires_at = $7, retention = $8, changed_at = $9, doubt = $10, executed = $11, answer_ok = $12, answer_status = $13, \
     answer_head = $14, answer_body = $15, actor = $16, reason = $17, tenant = $18, awaited = awaited and not $20 \
     where key = $1 and xmin = $19::xid and ",
    remembered!(),
    " returning case when $20 then pg_notify('tollgate', encode(key, 'hex')) end"
);

pub(super) const INSERT: &str = concat!(
    "insert into tollgate.idempotency (key, ",
    columns!(),
    ") select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18 where ",
    remembered!(),
    " on conflict (key) do nothing"
);

pub(super) const REMOVE: &str = "delete from tollgate.idempotency where key = $1 and xmin = $2::xid";

/// Two looks, each at an index of what is rare: what is unknown, and whose lease lapsed while it was armed.
pub(super) const UNRESOLVED: &str = concat!(
    "with ",
    clock!(),
    ", unknown as (select key from tollgate.idempotency where doubt is not null and key > $1 order by key limit $2), \
     lapsed as (select key from tollgate.idempotency, clock \
        where phase = 'armed' and lease_until < clock.now and key > $1 order by key limit $2) \
     select key, ",
    columns!(),
    " from tollgate.idempotency as held where key in (select key from unknown union all select key from lapsed) \
     order by key limit $2"
);

/// Rows that somebody else is writing are passed over: the next sweep meets them.
pub(super) const SWEEP: &str = concat!(
    "with ",
    clock!(),
    ", due as materialized (select key, awaited from tollgate.idempotency as held, clock \
     where phase = 'armed' and lease_until < clock.now limit $1 for update of held skip locked) \
     update tollgate.idempotency as held set phase = 'unknown', doubt = 'owner_lost', changed_at = clock.now, awaited = false \
     from due, clock where held.key = due.key \
     returning case when due.awaited then pg_notify('tollgate', encode(held.key, 'hex')) end"
);

/// An answer becomes a tombstone; a tombstone, a released key, and a claim that was never armed go. Two looks, since one that asks for
/// either reads the whole table.
pub(super) const COLLECT: &str = concat!(
    "with ",
    clock!(),
    ", ended as materialized (select key, phase from tollgate.idempotency as held, clock \
        where phase in ('completed', 'released', 'expired') and expires_at <= clock.now limit $2 for update of held skip locked), \
     abandoned as materialized (select key, phase from tollgate.idempotency as held, clock \
        where phase = 'prepared' and lease_until < clock.now and lease_until < clock.now - retention \
        limit $2 for update of held skip locked), \
     due as materialized (select key, phase from ended union all select key, phase from abandoned limit $2), \
     spent as (update tollgate.idempotency as held set phase = 'expired', executed = null, answer_ok = null, \
        answer_status = null, answer_head = null, answer_body = null, changed_at = clock.now, \
        expires_at = ",
    later!("$1"),
    " from due, clock where held.key = due.key and due.phase = 'completed'), \
     gone as (delete from tollgate.idempotency as held using due where held.key = due.key and due.phase <> 'completed') \
     select count(*) from due"
);
