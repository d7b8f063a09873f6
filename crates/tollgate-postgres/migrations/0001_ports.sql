-- Version 1: every port of tollgate-core. Times are microseconds since the Unix epoch, by the server's clock.
-- Every table is logged: an unlogged one is emptied after a crash, and an emptied key runs again.

create table tollgate.idempotency (
    key           bytea   primary key,
    phase         text    not null,
    epoch         bigint  not null,
    owner         bytea   not null,
    fingerprint   bytea   not null,
    tenant        bigint  not null,
    lease_until   bigint  not null,
    expires_at    bigint,
    retention     bigint  not null,
    changed_at    bigint  not null,
    doubt         text,
    executed      boolean,
    answer_ok     boolean,
    answer_status integer,
    answer_head   bytea,
    answer_body   bytea,
    actor         text,
    reason        text,
    awaited       boolean not null default false -- somebody waits for the claim to end
);
-- Each index is paid for by the calls that enter it, so a guarded call enters two besides its key: at begin what the sweeper looks for,
-- at settle what the collector does. Only a doubt enters those of the operators, and of a tenant's cap: a doubt stands where an outcome
-- is unknown.
create index idempotency_leased on tollgate.idempotency (lease_until) where phase in ('prepared', 'armed');
create index idempotency_expiring on tollgate.idempotency (expires_at) where expires_at is not null;
create index idempotency_unknown on tollgate.idempotency (key) where doubt is not null;
create index idempotency_doubtful on tollgate.idempotency (tenant) where doubt is not null;

create table tollgate.dedup (
    key    bytea   primary key,
    digest bytea   not null,
    fence  bigint  not null,
    done   boolean not null,
    until  bigint  not null
);
create index dedup_until on tollgate.dedup (until);

-- No index by time on the next two: it would be paid for by every call, and a quota's row could no longer be written in place (HOT).
-- Whoever adds a row looks at its neighbours instead.
create table tollgate.quota (
    key     bytea  primary key,
    arrival bigint not null
);

create table tollgate.velocity (
    key    bytea          not null,
    at     bigint         not null,
    weight numeric(20, 0) not null, -- up to 2^64 - 1
    until  bigint         not null
);
create index velocity_by_key on tollgate.velocity (key, at);

create table tollgate.audit (
    chain text   not null,
    seq   bigint not null,
    at    bigint not null,
    body  bytea  not null,
    hash  bytea  not null,
    primary key (chain, seq)
);

create table tollgate.saga (
    id          bytea  primary key,
    name        text   not null,
    key         text   not null,
    state       text   not null,
    epoch       bigint not null,
    records     bigint not null,
    lease_until bigint not null,
    unique (name, key)
);
create index saga_active on tollgate.saga (lease_until) where state in ('running', 'unwinding');
create index saga_by_state on tollgate.saga (state, id);

create table tollgate.saga_record (
    saga bytea  not null references tollgate.saga (id),
    seq  bigint not null,
    body bytea  not null,
    primary key (saga, seq)
);

create table tollgate.carry_over (
    run     text   primary key,
    version bigint not null,
    body    bytea  not null
);
