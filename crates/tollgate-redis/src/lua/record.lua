-- Before every script about idempotency records: a record is one string, and stands in one or two indexes of its prefix.
--
--   KEYS[1]  watch: by the time at which something has to be done about it, every record but unknown ones (for sweep and collector)
--   KEYS[2]  unknown: by name, unknown ones (for the listing)
--   KEYS[3]  doubtful: by tenant and name, unknown ones (for the cap)
--   KEYS[4]  the record, or the first of several
--
-- A record, each part but the last two followed by a space ('-' where there is nothing):
--
--   2 epoch owner fingerprint tenant retention lease phase changed expires doubt size answer evidence
--
-- `answer` is `size` bytes long, and stays as its writer has packed it; what is left is the evidence. `2` is the version of this form.
--
-- Record and indexes change in one script, so they cannot disagree after a crash. Indexes are written first: if the server
-- refuses a write (no memory left, a key of another type), it refuses the first, and the record is as it was. The record is always
-- written as a whole, with its time to live or with none: what is armed or unknown has none, whatever it had before.

local WATCH, UNKNOWN, DOUBTFUL, RECORD = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local PHASES = { prepared = true, armed = true, completed = true, released = true, unknown = true, expired = true }
local FORM = '^2 (%d+) (%x+) (%x+) (%x+) (%d+) (%d+) (%l+) (%d+) (%S+) (%S+) ()(%d+) ()'
local NOTHING = '0 '

-- nil when there is none; nil and an error when it cannot be read
local function load(key)
  local found = redis.call('GET', key)
  if not found then
    return nil
  end
  local epoch, owner, fingerprint, tenant, retention, lease, phase, changed, expires, doubt, answer, size, from = string.match(found, FORM)
  local upto = epoch and from + tonumber(size)
  if not (epoch and PHASES[phase] and (expires == '-' or tonumber(expires)) and upto <= #found + 1) then
    return nil, unreadable('the record was written by another version, or is damaged')
  end
  return {
    epoch = epoch, owner = owner, fingerprint = fingerprint, tenant = tenant, retention = tonumber(retention),
    lease = tonumber(lease), phase = phase, changed = changed, expires = tonumber(expires), doubt = doubt,
    answer = string.sub(found, answer, upto - 1), evidence = string.sub(found, upto),
  }
end

-- until then the server keeps it; nil: for ever
local function store(key, record, gone)
  local value = table.concat({
    '2', record.epoch, record.owner, record.fingerprint, record.tenant, text(record.retention), text(record.lease), record.phase,
    record.changed, record.expires and text(record.expires) or '-', record.doubt, record.answer,
  }, ' ') .. record.evidence
  if gone then
    -- rounded up to the millisecond: never too early
    redis.call('SET', key, value, 'PXAT', text(math.ceil(gone / 1000)))
  else
    redis.call('SET', key, value)
  end
end

local function held_by(record, holder)
  return record and record.epoch .. ' ' .. record.owner == holder
end

-- Places in the watch. A claim stands by its lease, less 2^53, and so before all that the collector looks at, which stands by its own
-- time: one index, one entry for each record, two ranges of it.
local function watch_claim(member, lease_until)
  redis.call('ZADD', WATCH, text(lease_until - MOST - 1), member)
end

local function watch_other(member, at)
  redis.call('ZADD', WATCH, text(at), member)
end

-- how many outcomes of a tenant are unknown; a name's tenant stands before it, at a fixed width
local function open_of(tenant)
  return redis.call('ZLEXCOUNT', DOUBTFUL, '[' .. tenant .. ':', '(' .. tenant .. ';')
end

-- takes a record off the list and off its tenant's account, on which it stands while it is unknown
local function off_the_account(member, record)
  if record.phase == 'unknown' then
    redis.call('ZREM', UNKNOWN, member)
    redis.call('ZREM', DOUBTFUL, record.tenant .. ':' .. member)
  end
end

-- Armed. From here on nothing but a decision ends the record: it has no time to live.
local function arm(key, member, record, lease, at)
  record.phase, record.lease, record.changed = 'armed', later(at, lease), text(at)
  watch_claim(member, record.lease)
  store(key, record)
end

-- A claim that nobody needs to settle: the backstop is long, and not the lease, because a record that is gone makes the arm answer
-- "fenced".
local function prepare(key, member, record)
  local gone = later(record.lease, record.retention)
  watch_other(member, gone)
  store(key, record, gone)
end

-- Nobody knows any more.
local function doubt(key, member, record, why, at)
  redis.call('ZADD', UNKNOWN, 0, member)
  redis.call('ZADD', DOUBTFUL, 0, record.tenant .. ':' .. member)
  redis.call('ZREM', WATCH, member)
  record.phase, record.doubt, record.changed, record.expires = 'unknown', why, text(at), nil
  store(key, record)
end

-- Ended, and kept for the retention; the server itself drops it `and_then` later.
local function finish(key, member, record, phase, and_then, at)
  local expires = later(at, record.retention)
  watch_other(member, expires)
  off_the_account(member, record)
  record.phase, record.doubt, record.changed, record.expires = phase, '-', text(at), expires
  store(key, record, later(expires, and_then))
end

-- Nothing happened. Kept because it pins the fingerprint.
local function release(key, member, record, at)
  finish(key, member, record, 'released', 0, at)
end

-- Final. After the retention the record answers "expired", whether or not a collector has come by; the server itself drops it only
-- `forget_after` later.
local function complete(key, member, record, answer, forget_after, at)
  record.answer = answer
  finish(key, member, record, 'completed', forget_after, at)
end
