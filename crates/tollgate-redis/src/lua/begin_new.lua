-- T1, begin, the short way: a claim that arms, without a cap, takes a key under which nothing stands. Whatever else is the case falls
-- through to the whole rule, in `begin`: also when the server refuses to write, because an answer may be there to read. Most begins
-- end here, before the rest of the script is even defined.
--
-- The record is written first, because writing it is what finds out whether there was one. If the index then refuses its entry (it
-- is a key of another type), the record goes again: a claim that the sweep cannot find must not stay.
--
-- KEYS and ARGV: as `begin`. Answers 1, for "acquired, and it is the first epoch"

if #ARGV == 3 then
  local at = now()
  local lease_until = later(at, ARGV[3])
  local record = '2 1 ' .. ARGV[2] .. ' ' .. text(lease_until) .. ' armed ' .. text(at) .. ' - - 0 '
  local taken = redis.pcall('SET', KEYS[4], record, 'NX')
  if taken and taken.ok then
    local filed = redis.pcall('ZADD', KEYS[1], text(lease_until - MOST - 1), ARGV[1])
    if type(filed) == 'table' then
      redis.call('DEL', KEYS[4])
      return filed
    end
    return 1
  end
end
