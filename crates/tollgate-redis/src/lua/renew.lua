-- T3, renew: the lease counts from now. Late is too late while prepared; while armed nobody else can have taken over.
--
-- ARGV: member, epoch, owner, lease

local at = now()
local record, bad = load(RECORD)
if bad then
  return bad
end
if not held_by(record, ARGV[2], ARGV[3]) then
  return { 'fenced' }
end
local lease_until = later(at, tonumber(ARGV[4]))
if record.phase == 'armed' then
  file(ARGV[1], 'armed', lease_until)
  redis.call('HSET', RECORD, 'lease', text(lease_until))
  return { 'held' }
elseif record.phase == 'prepared' and record.lease >= at then
  local gone = later(lease_until, record.retention)
  file(ARGV[1], 'prepared', gone)
  redis.call('HSET', RECORD, 'lease', text(lease_until))
  expire(RECORD, gone)
  return { 'held' }
end
return { 'fenced' }
