-- T3, renew: the lease counts from now. Late is too late while prepared; while armed nobody else can have taken over.
--
-- ARGV: member, 'epoch owner', lease

local at = now()
local record, bad = load(RECORD)
if bad then
  return bad
end
if not held_by(record, ARGV[2]) then
  return { 'fenced' }
end
local lease_until = later(at, tonumber(ARGV[3]))
if record.phase == 'armed' then
  record.lease = lease_until
  watch_claim(ARGV[1], lease_until)
  store(RECORD, record)
  return { 'held' }
elseif record.phase == 'prepared' and record.lease >= at then
  record.lease = lease_until
  prepare(RECORD, ARGV[1], record)
  return { 'held' }
end
return { 'fenced' }
