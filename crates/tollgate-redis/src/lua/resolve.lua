-- T9, resolve: evidence ends a doubt. Absence can be declared only by somebody who looked after the owner's lease had lapsed: until
-- then it may be frozen and still send, behind the back of whoever looked before.
--
-- ARGV: member, epoch, 'completed' | 'released', actor, reason, forget_after, as_of, then pairs of the answer

local function with_evidence(fields)
  for _, field in ipairs({ 'actor', ARGV[4], 'reason', ARGV[5] }) do
    fields[#fields + 1] = field
  end
  return fields
end

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
  complete(RECORD, ARGV[1], record, with_evidence(rest(8)), tonumber(ARGV[6]), at)
elseif record.lease >= math.min(tonumber(ARGV[7]), at) then
  return { 'too_early', math.max(record.lease - at, 0) + 1000 }
else
  release(RECORD, ARGV[1], record, at, with_evidence({}))
end
return { 'resolved' }
