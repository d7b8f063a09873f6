-- T4 to T7, settle: how it ended. The same settlement may be written again: its acknowledgement can be lost.
--
-- ARGV: member, 'epoch owner', forget_after, the answer behind its size; and unless it is completed: 'released' | 'unknown', doubt

local at = now()
local record, bad = load(RECORD)
if bad then
  return bad
end
if not record then
  return { 'gone' }
end
if not held_by(record, ARGV[2]) then
  return { 'fenced', record.phase }
end
local member, how, phase = ARGV[1], ARGV[5] or 'completed', record.phase
local running = phase == 'prepared' or phase == 'armed'

-- somebody declared absence while the owner was only slow: its own word that it happened, or may have, still counts
local declared_absent = phase == 'released' and record.evidence ~= ''

if how == 'completed' then
  if running or phase == 'unknown' or declared_absent then
    complete(RECORD, member, record, ARGV[4], tonumber(ARGV[3]), at)
    return { 'applied' }
  elseif phase == 'completed' and record.answer == ARGV[4] then
    -- byte for byte this one
    return { 'already_applied' }
  end
elseif how == phase then
  return { 'already_applied' }
elseif how == 'released' then
  -- after a sweep that took the owner for lost, its own proof still counts; after its own doubt it does not
  if running or (phase == 'unknown' and record.doubt == 'owner_lost') then
    release(RECORD, member, record, at)
    return { 'applied' }
  end
elseif running or declared_absent then
  doubt(RECORD, member, record, ARGV[6], at)
  return { 'applied' }
end
return { 'fenced', phase }
