-- lets a key go at this instant, rounded up to the millisecond: never too early
local function expire(key, at)
  redis.call('PEXPIREAT', key, text(math.ceil(at / 1000)))
end
