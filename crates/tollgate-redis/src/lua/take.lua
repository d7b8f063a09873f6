-- Takes units from all the quotas or from none (GCRA). A quota is one instant, its theoretical arrival time; one that lies in the
-- past is equal to none, and the server lets it go. Two takes of one key see each other.
--
-- KEYS: the quotas. ARGV: for each its interval, burst, cost

local at = now()
local next_arrival = {}
local remaining, reset = 4294967295, 0
for i, key in ipairs(KEYS) do
  local interval, burst, cost = tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i])
  if cost > burst then
    return { 'never', i - 1 }
  end
  local arrival = next_arrival[key]
  if not arrival then
    local stored = redis.call('GET', key)
    arrival = stored and tonumber(stored)
    if stored and not arrival then
      return unreadable('the quota is damaged')
    end
  end
  local earlier = math.max(arrival or at, at)
  arrival = later(earlier, interval * cost)
  if arrival == earlier and cost > 0 then
    -- at the end of time: one in all time is not one without end
    return { 'never', i - 1 }
  end
  local tolerance = math.min(interval * burst, MOST)
  local ahead = arrival - at
  if ahead > tolerance then
    return { 'refused', i - 1, ahead - tolerance }
  end
  local room = tolerance - ahead
  room = (room - room % interval) / interval
  if room < remaining then
    remaining, reset = room, ahead
  end
  next_arrival[key] = arrival
end
for key, arrival in pairs(next_arrival) do
  redis.call('SET', key, text(arrival))
  expire(key, arrival)
end
return { 'granted', remaining, reset }
