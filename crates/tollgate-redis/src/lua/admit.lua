-- Records an event unless that would exceed the limit. A counter is one list: first the sum of what follows, then one entry per
-- event, oldest first, as "at high low". Weights are 64 bits wide, more than a Lua number holds: they are carried in halves of
-- 32 bits, and the two sums are kept apart, so that what leaves the window is taken off exactly.
--
-- KEYS: the counter. ARGV: window, weight (high, low), limit (high, low)

local HALF = 4294967296
local at = now()
local from = at - tonumber(ARGV[1])
local key = KEYS[1]

local high, low, old = 0, 0, 0
local first = redis.call('LINDEX', key, 0)
if first then
  local h, l = string.match(first, '^sum (%d+) (%d+)$')
  if not h then
    return unreadable('the counter is damaged')
  end
  high, low = tonumber(h), tonumber(l)
end

-- what has left the window
local looking = first
while looking do
  local page = redis.call('LRANGE', key, old + 1, old + 64)
  looking = #page == 64
  for _, entry in ipairs(page) do
    local when, h, l = string.match(entry, '^(%d+) (%d+) (%d+)$')
    if not when then
      return unreadable('the counter is damaged')
    end
    if tonumber(when) > from then
      looking = false
      break
    end
    high, low, old = high - tonumber(h), low - tonumber(l), old + 1
  end
end

-- two sums as one number in halves, stopping at the end of 64 bits
local function halves(h, l)
  h, l = h + math.floor(l / HALF), l % HALF
  if h >= HALF then
    return HALF - 1, HALF - 1
  end
  return h, l
end

local new_high, new_low = high + tonumber(ARGV[2]), low + tonumber(ARGV[3])
local h, l = halves(new_high, new_low)
local limit_high, limit_low = tonumber(ARGV[4]), tonumber(ARGV[5])
local within = h < limit_high or (h == limit_high and l <= limit_low)

if within then
  high, low = new_high, new_low
  local entry = text(at) .. ' ' .. ARGV[2] .. ' ' .. ARGV[3]
  if first then
    redis.call('RPUSH', key, entry)
  else
    redis.call('RPUSH', key, 'sum 0 0', entry)
  end
  -- kept as long as anybody's window needs it
  local left = redis.call('PTTL', key)
  local window = math.ceil(tonumber(ARGV[1]) / 1000) + 1
  if left < window then
    redis.call('PEXPIREAT', key, text(math.ceil(later(at, tonumber(ARGV[1])) / 1000) + 1))
  end
else
  h, l = halves(high, low)
end
if old > 0 then
  -- the last of the old ones makes room for the sum
  redis.call('LTRIM', key, old, -1)
end
if old > 0 or within then
  redis.call('LSET', key, 0, 'sum ' .. text(high) .. ' ' .. text(low))
end
return { within and 1 or 0, h, l }
