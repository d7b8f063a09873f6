-- T8, sweep: armed and silent for longer than the lease: nobody knows any more. Answers how many records changed, how many
-- index entries moved, and how many records could not be read.
--
-- KEYS: the indexes, then the records. ARGV: their members

local at = now()
local changed, moved, bad_ones = 0, 0, 0
for i = 4, #KEYS do
  local key, member = KEYS[i], ARGV[i - 3]
  local record, bad = load(key)
  if bad then
    bad_ones = bad_ones + 1
  elseif not record or record.phase ~= 'armed' then
    -- nothing here leaves that behind: somebody's hand did
    moved = moved + redis.call('ZREM', WATCH, member)
  elseif record.lease < at then
    doubt(key, member, record, 'owner_lost', at)
    changed, moved = changed + 1, moved + 1
  end
end
return { changed, moved, bad_ones }
