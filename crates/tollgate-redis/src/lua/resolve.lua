-- T9, resolve: evidence ends a doubt. Absence can be declared only once the owner's lease has lapsed: until then it may be
-- frozen and still send.
--
-- ARGV: member, epoch, 'completed' | 'released', actor, reason, forget_after, then pairs of the answer

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
  complete(RECORD, ARGV[1], record, with_evidence(rest(7)), tonumber(ARGV[6]), at)
elseif record.lease >= at then
  return { 'too_early', record.lease - at + 1000 }
else
  release(RECORD, ARGV[1], record, at, with_evidence({}))
end
return { 'resolved' }
