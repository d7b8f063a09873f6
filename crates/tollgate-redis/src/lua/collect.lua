-- T12, collect: forgets answers whose retention is over and keeps a tombstone; then forgets tombstones. Never touches what is
-- armed or unknown. Records that the server itself has let go meanwhile count as forgotten here. Answers as the sweep does.
--
-- KEYS: the indexes, then the records. ARGV: tombstone, then their members

local at = now()
local tombstone = tonumber(ARGV[1])
local changed, moved, bad_ones = 0, 0, 0
for i = 5, #KEYS do
  local key, member = KEYS[i], ARGV[i - 3]
  local record, bad = load(key)
  if bad then
    bad_ones = bad_ones + 1
  elseif not record then
    redis.call('ZREM', DUE, member)
    changed, moved = changed + 1, moved + 1
  else
    local past = record.expires and record.expires <= at
    if record.phase == 'completed' and past then
      local expires = later(at, tombstone)
      file(member, 'expired', expires)
      redis.call('HSET', key, 'phase', 'expired', 'changed', text(at), 'expires', text(expires))
      redis.call('HDEL', key, unpack(ANSWER))
      expire(key, expires)
      changed, moved = changed + 1, moved + 1
    elseif ((record.phase == 'released' or record.phase == 'expired') and past)
      or (record.phase == 'prepared' and later(record.lease, record.retention) < at) then
      redis.call('ZREM', DUE, member)
      redis.call('DEL', key)
      changed, moved = changed + 1, moved + 1
    elseif record.phase == 'armed' or record.phase == 'unknown' then
      moved = moved + redis.call('ZREM', DUE, member)
    end
  end
end
return { changed, moved, bad_ones }
