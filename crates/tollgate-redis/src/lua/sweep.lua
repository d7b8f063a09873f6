-- T8, sweep: armed and silent for longer than the lease: nobody knows any more. Answers how many records changed, how many
-- index entries moved, and how many records could not be read.
--
-- KEYS: the indexes, then the records. ARGV: their members

local at = now()
local changed, moved, bad_ones = 0, 0, 0
for i = 5, #KEYS do
  local key, member = KEYS[i], ARGV[i - 4]
  local record, bad = load(key)
  if bad then
    bad_ones = bad_ones + 1
  elseif record and record.phase == 'armed' then
    if record.lease < at then
      doubt(key, member, record, 'owner_lost', at)
      changed, moved = changed + 1, moved + 1
    end
  else
    moved = moved + redis.call('ZREM', ARMED, member)
  end
end
return { changed, moved, bad_ones }
