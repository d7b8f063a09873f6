-- T1, begin: claims a key, or says why not. The fingerprint is compared first: another amount is a hard error, never
-- "try again later".
--
-- A key that is free is not acquired while too many outcomes of its tenant are unknown.
--
-- ARGV: member, fingerprint, owner, lease, retention, arm ('1' or '0'), tenant, the cap ('' for none)

local at = now()
local record, bad = load(RECORD)
if bad then
  return bad
end
local member, fingerprint, owner = ARGV[1], ARGV[2], ARGV[3]
local lease, retention, arms = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6] == '1'
local tenant, most_open = ARGV[7], tonumber(ARGV[8])

local function acquire(epoch)
  if most_open and open_of(tenant) >= most_open then
    return { 'too_many_open' }
  end
  local lease_until = later(at, lease)
  local gone = later(lease_until, retention)
  local phase = arms and 'armed' or 'prepared'
  file(member, phase, arms and lease_until or gone)
  if record then
    redis.call('DEL', RECORD)
  end
  redis.call('HSET', RECORD, 'v', '1', 'phase', phase, 'epoch', epoch, 'owner', owner, 'fingerprint', fingerprint,
    'tenant', tenant, 'lease', text(lease_until), 'retention', text(retention), 'changed', text(at))
  if not arms then
    -- a long backstop, not the lease: the lease is the field, and a record that is gone makes the arm answer "fenced"
    expire(RECORD, gone)
  end
  return { 'acquired', epoch }
end

if not record then
  return acquire('1')
end
if record.fingerprint ~= fingerprint then
  return { 'mismatch' }
end
local lapsed = record.lease < at
local phase = record.phase

if phase == 'completed' then
  local answer = redis.call('HMGET', RECORD, unpack(ANSWER))
  if record.expires and record.expires <= at or not answer[1] then
    return { 'expired' }
  end
  return { 'replay', unpack(answer) }
elseif phase == 'expired' then
  return { 'expired' }
elseif phase == 'released' then
  return acquire(text(tonumber(record.epoch) + 1))
elseif phase == 'unknown' then
  return { 'unknown', record.changed }
elseif record.owner == owner and not lapsed then
  -- our own begin whose answer was lost; whoever is told "acquired" by a begin that arms sends without asking again
  if arms and phase == 'prepared' then
    arm(RECORD, member, lease, at)
  end
  return { 'acquired', record.epoch }
elseif phase == 'prepared' then
  if lapsed then
    return acquire(text(tonumber(record.epoch) + 1))
  end
  return { 'in_flight', record.lease - at + 1000 }
elseif lapsed then
  doubt(RECORD, member, record, 'owner_lost', at)
  return { 'unknown', at }
end
-- armed: what runs there usually answers within a second
return { 'in_flight', 1000000 }
