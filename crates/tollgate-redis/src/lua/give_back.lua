-- Gives units back that were not used, never more than were taken.
--
-- KEYS: the quota. ARGV: interval, cost

local at = now()
local stored = redis.call('GET', KEYS[1])
if not stored then
  return { 'done' }
end
local arrival = tonumber(stored)
if not arrival then
  return unreadable('the quota is damaged')
end
arrival = math.max(arrival - tonumber(ARGV[1]) * tonumber(ARGV[2]), math.min(at, arrival))
redis.call('SET', KEYS[1], text(arrival))
expire(KEYS[1], arrival)
return { 'done' }
