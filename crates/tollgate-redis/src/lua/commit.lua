-- Marks an event as processed. A stale fence commits nothing; a claim whose lease lapsed still may, as long as nobody took over.
--
-- ARGV: member, fence, retention

local at = now()
local event, bad = load(EVENT)
if bad then
  return bad
end
if not event or event.fence ~= ARGV[2] then
  return { 'lost' }
end
if not event.done then
  put(ARGV[1], event.digest, event.fence, true, later(at, tonumber(ARGV[3])))
end
return { 'done' }
