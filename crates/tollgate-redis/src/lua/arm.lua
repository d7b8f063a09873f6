-- T2, arm: from now on the effect may happen. A stale owner fails here, before it does anything.
--
-- ARGV: member, 'epoch owner', lease

local at = now()
local record, bad = load(RECORD)
if bad then
  return bad
end
if not held_by(record, ARGV[2]) or record.lease < at then
  return { 'fenced' }
elseif record.phase == 'prepared' then
  arm(RECORD, ARGV[1], record, tonumber(ARGV[3]), at)
  return { 'held' }
elseif record.phase == 'armed' then
  -- our own arm whose answer was lost
  return { 'held' }
end
return { 'fenced' }
