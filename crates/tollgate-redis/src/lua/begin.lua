-- T1, begin: claims a key, or says why not. The fingerprint is compared first: another amount is a hard error, never
-- "try again later".
--
-- A key that is free is not acquired while too many outcomes of its tenant are unknown.
--
-- ARGV: member, 'owner fingerprint tenant retention' as a record has them, lease; and unless it arms without a cap: arm ('1' or '0'),
-- the cap ('' for none)

local at = now()
local record, bad = load(RECORD)
if bad then
  return bad
end
local owner, fingerprint, tenant, retention = string.match(ARGV[2], '^(%x+) (%x+) (%x+) (%d+)$')
local member, lease, arms, most_open = ARGV[1], tonumber(ARGV[3]), ARGV[4] ~= '0', tonumber(ARGV[5] or '')

local function acquire(epoch)
  if most_open and open_of(tenant) >= most_open then
    return { 'too_many_open' }
  end
  local claim = {
    epoch = epoch, owner = owner, fingerprint = fingerprint, tenant = tenant, retention = tonumber(retention),
    lease = later(at, lease), phase = 'prepared', changed = text(at), doubt = '-', answer = NOTHING, evidence = '',
  }
  if arms then
    arm(RECORD, member, claim, lease, at)
  else
    prepare(RECORD, member, claim)
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
  if record.expires and record.expires <= at or record.answer == NOTHING then
    return { 'expired' }
  end
  return { 'replay', record.answer }
elseif phase == 'expired' then
  return { 'expired' }
elseif phase == 'released' then
  return acquire(text(tonumber(record.epoch) + 1))
elseif phase == 'unknown' then
  return { 'unknown', record.changed }
elseif record.owner == owner and not lapsed then
  -- our own begin whose answer was lost; whoever is told "acquired" by a begin that arms sends without asking again
  if arms and phase == 'prepared' then
    arm(RECORD, member, record, lease, at)
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
