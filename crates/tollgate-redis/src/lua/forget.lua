-- Forgets events whose time is over. Those that the server itself has let go meanwhile count as forgotten here. Answers how many
-- were forgotten, how many index entries moved, and how many events could not be read.
--
-- KEYS: the index, then the events. ARGV: their members

local at = now()
local changed, moved, bad_ones = 0, 0, 0
for i = 2, #KEYS do
  local event, bad = load(KEYS[i])
  if bad then
    bad_ones = bad_ones + 1
  elseif not event or forgettable_at(event.done, event.until_) <= at then
    redis.call('ZREM', INDEX, ARGV[i - 1])
    redis.call('DEL', KEYS[i])
    changed, moved = changed + 1, moved + 1
  end
end
return { changed, moved, bad_ones }
