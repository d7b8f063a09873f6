-- T9, resolve: evidence ends a doubt. Absence can be declared only by somebody who looked after the owner's lease had lapsed: until
-- then it may be frozen and still send, behind the back of whoever looked before.
--
-- ARGV: member, epoch, 'completed' | 'released', evidence, forget_after, as_of, the answer behind its size

local at = now()
local record, bad = load(RECORD)
if bad then
  return bad
end
local in_doubt = record and (record.phase == 'unknown' or (record.phase == 'armed' and record.lease < at))
if not in_doubt or record.epoch ~= ARGV[2] then
  return { 'stale' }
end
if ARGV[3] == 'completed' then
  record.evidence = ARGV[4]
  complete(RECORD, ARGV[1], record, ARGV[7], tonumber(ARGV[5]), at)
elseif record.lease >= math.min(tonumber(ARGV[6]), at) then
  return { 'too_early', math.max(record.lease - at, 0) + 1000 }
else
  record.evidence = ARGV[4]
  release(RECORD, ARGV[1], record, at)
end
return { 'resolved' }
