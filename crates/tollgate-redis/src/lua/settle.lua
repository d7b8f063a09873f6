-- T4 to T7, settle: how it ended. The same settlement may be written again: its acknowledgement can be lost.
--
-- ARGV: member, epoch, owner, 'completed' | 'released' | 'unknown', doubt, forget_after, then pairs of the answer

local at = now()
local record, bad = load(RECORD)
if bad then
  return bad
end
if not record then
  return { 'gone' }
end
if not held_by(record, ARGV[2], ARGV[3]) then
  return { 'fenced', record.phase }
end
local member, how, phase = ARGV[1], ARGV[4], record.phase
local running = phase == 'prepared' or phase == 'armed'
local answer = rest(7)

-- somebody declared absence while the owner was only slow: its own word that it happened, or may have, still counts
local declared_absent = phase == 'released' and record.by_evidence

-- whether the stored answer is this one, byte for byte
local function stands()
  local given = {}
  for i = 1, #answer, 2 do
    given[answer[i]] = answer[i + 1]
  end
  local stored = redis.call('HMGET', RECORD, unpack(ANSWER))
  for i, name in ipairs(ANSWER) do
    if (stored[i] or nil) ~= given[name] then
      return false
    end
  end
  return true
end

if how == 'completed' then
  if running or phase == 'unknown' or declared_absent then
    complete(RECORD, member, record, answer, tonumber(ARGV[6]), at)
    return { 'applied' }
  elseif phase == 'completed' and stands() then
    return { 'already_applied' }
  end
elseif how == phase then
  return { 'already_applied' }
elseif how == 'released' then
  -- after a sweep that took the owner for lost, its own proof still counts; after its own doubt it does not
  if running or (phase == 'unknown' and record.doubt == 'owner_lost') then
    release(RECORD, member, record, at, {})
    return { 'applied' }
  end
elseif running or declared_absent then
  doubt(RECORD, member, record, ARGV[5], at)
  return { 'applied' }
end
return { 'fenced', phase }
