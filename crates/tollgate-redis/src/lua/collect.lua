-- T12, collect: forgets answers whose retention is over and keeps a tombstone; then forgets tombstones. Never touches what is
-- armed or unknown. Records that the server itself has let go meanwhile count as forgotten here. Answers as the sweep does.
--
-- KEYS: the indexes, then the records. ARGV: tombstone, then their members

local at = now()
local tombstone = tonumber(ARGV[1])
local changed, moved, bad_ones = 0, 0, 0
for i = 4, #KEYS do
  local key, member = KEYS[i], ARGV[i - 2]
  local record, bad = load(key)
  local past = record and record.expires and record.expires <= at
  if bad then
    bad_ones = bad_ones + 1
  elseif not record then
    redis.call('ZREM', WATCH, member)
    changed, moved = changed + 1, moved + 1
  elseif record.phase == 'completed' and past then
    local expires = later(at, tombstone)
    watch_other(member, expires)
    record.phase, record.changed, record.expires, record.answer = 'expired', text(at), expires, NOTHING
    store(key, record, expires)
    changed, moved = changed + 1, moved + 1
  elseif ((record.phase == 'released' or record.phase == 'expired') and past)
    or (record.phase == 'prepared' and later(record.lease, record.retention) < at) then
    redis.call('ZREM', WATCH, member)
    redis.call('DEL', key)
    changed, moved = changed + 1, moved + 1
  elseif record.phase == 'armed' or record.phase == 'unknown' then
    -- nothing here leaves that behind: somebody's hand did
    redis.call('ZREM', WATCH, member)
    if record.phase == 'armed' then
      watch_claim(member, record.lease)
    end
    moved = moved + 1
  end
end
return { changed, moved, bad_ones }
