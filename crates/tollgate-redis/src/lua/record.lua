-- Before every script about idempotency records: a record is one hash, and stands in the indexes of its prefix.
--
--   KEYS[1]  open: by name, armed and unknown ones (for the listing)
--   KEYS[2]  armed: by lease, armed ones (for the sweep)
--   KEYS[3]  due: by time, the others (for the collector)
--   KEYS[4]  doubtful: by tenant and name, unknown ones (for the cap)
--   KEYS[5]  the record, or the first of several
--
-- Record and indexes change in one script, so they cannot disagree after a crash. Indexes are written first: if the server
-- refuses a write (no memory left, a key of another type), it refuses the first, and the record is as it was. The time to live is
-- set last: one that is over at once takes the record away at once, and a field written after that would stand there alone.

local OPEN, ARMED, DUE, DOUBTFUL, RECORD = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local PHASES = { prepared = true, armed = true, completed = true, released = true, unknown = true, expired = true }
local ANSWER = { 'executed', 'ok', 'status', 'head', 'body' }

-- the record without its answer; nil when there is none; nil and an error when it cannot be read
local function load(key)
  local f = redis.call('HMGET', key, 'v', 'phase', 'epoch', 'owner', 'fingerprint', 'lease', 'expires', 'retention', 'changed', 'doubt', 'actor', 'tenant')
  if not f[1] then
    if redis.call('EXISTS', key) == 0 then
      return nil
    end
    return nil, unreadable('the record has no version')
  end
  local record = {
    phase = f[2], epoch = f[3], owner = f[4], fingerprint = f[5],
    lease = tonumber(f[6] or ''), expires = f[7] and tonumber(f[7]), retention = tonumber(f[8] or ''),
    changed = tonumber(f[9] or ''), doubt = f[10], by_evidence = f[11] and true, tenant = f[12],
  }
  local whole = f[1] == '1' and PHASES[record.phase] and tonumber(record.epoch or '') and record.owner
    and record.fingerprint and record.lease and record.retention and record.changed and record.tenant
  if not whole then
    return nil, unreadable('the record was written by another version, or is damaged')
  end
  return record
end

local function held_by(record, epoch, owner)
  return record and record.epoch == epoch and record.owner == owner
end

-- files a record, by its member in the indexes, under what has to look at it next, and when
local function file(member, phase, at)
  if phase == 'armed' then
    redis.call('ZADD', ARMED, text(at), member)
    redis.call('ZADD', OPEN, 0, member)
    redis.call('ZREM', DUE, member)
  elseif phase == 'unknown' then
    redis.call('ZADD', OPEN, 0, member)
    redis.call('ZREM', ARMED, member)
    redis.call('ZREM', DUE, member)
  else
    redis.call('ZADD', DUE, text(at), member)
    redis.call('ZREM', OPEN, member)
    redis.call('ZREM', ARMED, member)
  end
end

-- how many outcomes of a tenant are unknown; a name's tenant stands before it, at a fixed width
local function open_of(tenant)
  return redis.call('ZLEXCOUNT', DOUBTFUL, '[' .. tenant .. ':', '(' .. tenant .. ';')
end

-- takes a record off its tenant's account, on which it stands while it is unknown
local function off_the_account(member, record)
  if record.phase == 'unknown' then
    redis.call('ZREM', DOUBTFUL, record.tenant .. ':' .. member)
  end
end

-- Armed. From here on nothing but a decision ends the record: PERSIST takes the backstop away.
local function arm(key, member, lease, at)
  local lease_until = later(at, lease)
  file(member, 'armed', lease_until)
  redis.call('HSET', key, 'phase', 'armed', 'lease', text(lease_until), 'changed', text(at))
  redis.call('PERSIST', key)
end

-- Nobody knows any more.
local function doubt(key, member, record, why, at)
  file(member, 'unknown')
  redis.call('ZADD', DOUBTFUL, 0, record.tenant .. ':' .. member)
  redis.call('HSET', key, 'phase', 'unknown', 'doubt', why, 'changed', text(at))
  redis.call('HDEL', key, 'expires')
  redis.call('PERSIST', key)
end

-- Nothing happened. Kept for the retention: it pins the fingerprint. `evidence` is pairs of field and value.
local function release(key, member, record, at, evidence)
  local expires = later(at, record.retention)
  file(member, 'released', expires)
  off_the_account(member, record)
  redis.call('HSET', key, 'phase', 'released', 'changed', text(at), 'expires', text(expires), unpack(evidence))
  redis.call('HDEL', key, 'doubt')
  expire(key, expires)
end

-- Final. `answer` is pairs of field and value. After the retention the record answers "expired", whether or not a collector
-- has come by; the server itself drops it only `forget_after` later.
local function complete(key, member, record, answer, forget_after, at)
  local expires = later(at, record.retention)
  file(member, 'completed', expires)
  off_the_account(member, record)
  redis.call('HSET', key, 'phase', 'completed', 'changed', text(at), 'expires', text(expires), unpack(answer))
  redis.call('HDEL', key, 'doubt')
  expire(key, later(expires, forget_after))
end

-- the arguments from this place on
local function rest(from)
  local found = {}
  for i = from, #ARGV do
    found[#found + 1] = ARGV[i]
  end
  return found
end
