-- Before every script: the server's time, in whole microseconds since the Unix epoch.
--
-- Lua's numbers are doubles, exact up to 2^53. As microseconds that is the year 2255, so instants are exact until then and
-- stop there. Numbers that may be larger (epochs, fences, weights) are compared as text or carried in two halves.

local MOST = 9007199254740991

local function now()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000000 + tonumber(time[2])
end

-- an instant this much later, stopping at the end
local function later(at, by)
  return math.min(at + by, MOST)
end

-- a number as Redis is to store it: never in exponents
local function text(number)
  return string.format('%.0f', number)
end

-- lets a key go at this instant, rounded up to the millisecond: never too early
local function expire(key, at)
  redis.call('PEXPIREAT', key, text(math.ceil(at / 1000)))
end

-- a record that this build cannot read is an error, never "absent"
local function unreadable(what)
  return redis.error_reply('UNREADABLE ' .. what)
end
