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
    -- who settled since it was found due has put it where the collector looks; a claim's place without a claim, nothing here leaves
    -- behind: somebody's hand did
    local place = tonumber(redis.call('ZSCORE', WATCH, member) or 0)
    if place < 0 then
      redis.call('ZREM', WATCH, member)
    end
    -- not to be met again among the claims
    moved = moved + 1
  elseif record.lease < at then
    doubt(key, member, record, 'owner_lost', at)
    changed, moved = changed + 1, moved + 1
  end
end
return { changed, moved, bad_ones }
