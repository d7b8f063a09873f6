-- Before every script: the server's time, in whole microseconds since the Unix epoch.
--
-- Lua's numbers are doubles, exact up to 2^53. As microseconds that is the year 2255, so instants are exact until then and
-- stop there. Numbers that may be larger (epochs, fences, weights) are compared as text or carried in two halves.

local MOST = 9007199254740991

local function now()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

-- an instant this much later, stopping at the end
local function later(at, by)
  local sum = at + by
  return sum < MOST and sum or MOST
end

-- A number as Redis is to store it: never in exponents. The quick way casts to a C long, which has more than eleven digits to say
-- only where it has 64 bits, and which says nineteen when the number was too large for it.
local function text(number)
  local digits = string.format('%d', number)
  if #digits > 11 and #digits < 19 then
    return digits
  end
  return string.format('%.0f', number)
end
