-- In tests, behind the clock: the time that the test has set, under a key of the same prefix.
local function now()
  return tonumber(redis.call('GET', string.match(KEYS[1], '^{.-}') .. ':clock'))
end
