-- Claims an event. One that is done and past its retention is as good as absent, but its fence goes on.
--
-- ARGV: member, digest, lease

local at = now()
local event, bad = load(EVENT)
if bad then
  return bad
end
local fence = '0'
if event then
  fence = event.fence
  if not (event.done and event.until_ <= at) then
    if event.digest ~= ARGV[2] then
      return { 'conflict' }
    elseif event.done then
      return { 'done' }
    elseif event.until_ > at then
      return { 'in_progress', event.until_ - at }
    end
  end
end
fence = text(tonumber(fence) + 1)
put(ARGV[1], ARGV[2], fence, false, later(at, tonumber(ARGV[3])))
return { 'acquired', fence }
