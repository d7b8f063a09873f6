-- Version 1: every port of tollgate-core. Times are microseconds since the Unix epoch.

create table idempotency (
    key          blob    primary key,
    phase        text    not null,
    epoch        integer not null,
    owner        blob    not null,
    fingerprint  blob    not null,
    tenant       integer not null,
    lease_until  integer not null,
    expires_at   integer,
    retention    integer not null,
    changed_at   integer not null,
    doubt        text,
    executed     integer,
    answer_ok    integer,
    answer_status integer,
    answer_head  blob,
    answer_body  blob,
    actor        text,
    reason       text
) strict;
-- Each index is paid for by the calls that enter it, so a guarded call enters two besides its key: at begin what the sweeper looks for,
-- at settle what the collector does. Only a doubt enters those of the operators, and of a tenant's cap. SQLite uses such an index only
-- for a query that says the index's own condition.
create index idempotency_leased on idempotency (lease_until) where phase in ('prepared', 'armed');
create index idempotency_expiring on idempotency (expires_at) where expires_at is not null;
create index idempotency_unknown on idempotency (key) where phase = 'unknown';
create index idempotency_doubtful on idempotency (tenant) where phase = 'unknown';

create table dedup (
    key     blob    primary key,
    digest  blob    not null,
    fence   integer not null,
    done    integer not null,
    until   integer not null
) strict, without rowid;
create index dedup_until on dedup (until);

-- No index by time on the next two: it would be paid for by every call. Whoever adds a row looks at its neighbours instead.
create table quota (
    key     blob    primary key,
    arrival integer not null
) strict, without rowid;

create table velocity (
    key    blob    not null,
    at     integer not null,
    weight integer not null,
    until  integer not null
) strict;
create index velocity_by_key on velocity (key, at);

create table audit (
    chain text    not null,
    seq   integer not null,
    at    integer not null,
    body  blob    not null,
    hash  blob    not null,
    primary key (chain, seq)
) strict, without rowid;

create table saga (
    id          blob    primary key,
    name        text    not null,
    key         text    not null,
    state       text    not null,
    epoch       integer not null,
    records     integer not null,
    lease_until integer not null,
    unique (name, key)
) strict, without rowid;
create index saga_active on saga (lease_until) where state in ('running', 'unwinding');
create index saga_by_state on saga (state, id);

create table saga_record (
    saga blob    not null references saga (id),
    seq  integer not null,
    body blob    not null,
    primary key (saga, seq)
) strict, without rowid;

create table carry_over (
    run     text    primary key,
    version integer not null,
    body    blob    not null
) strict, without rowid;
