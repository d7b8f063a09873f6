-- Gives an event back unprocessed: its lease ends now. The record is kept, so that the fence goes on rising.
--
-- ARGV: member, fence

local at = now()
local event, bad = load(EVENT)
if bad then
  return bad
end
if not event or event.fence ~= ARGV[2] or event.done then
  return { 'lost' }
end
put(ARGV[1], event.digest, event.fence, false, at)
return { 'done' }
