-- T1, begin, the short way for many: claims that arm, without a cap, take keys under which nothing stands. Each is answered at its
-- place: '1', acquired, and it is the first epoch; '0', nothing was done, and it is to ask alone, by `begin`, which knows the rest.
--
-- One script may touch all these records because they lie in one slot of a cluster, whatever they are: the prefix is their hash tag.
--
-- All keys are taken in one go, which happens only if all of them are free, of any type; otherwise one by one. Of two claims to one
-- key the first has it. Then all are filed in one go; if the index refuses that (it is a key of another type), all records go again: a
-- claim that the sweep cannot find must not stay.
--
-- KEYS: watch, then the records. ARGV: for each its member, 'owner fingerprint tenant retention' as a record has them, lease

local at = now()
local armed = ' armed ' .. text(at) .. ' - - 0 '
local lease, rest, score
local records, entries, places, seen, n = {}, { KEYS[1] }, {}, {}, 0
for i = 1, #KEYS - 1 do
  local key, argument = KEYS[i + 1], 3 * i
  if not seen[key] then
    seen[key] = true
    if ARGV[argument] ~= lease then
      -- it is the same for all, as a rule
      lease = ARGV[argument]
      local lease_until = later(at, lease)
      rest, score = ' ' .. text(lease_until) .. armed, text(lease_until - MOST - 1)
    end
    n = n + 1
    places[n] = i
    records[2 * n - 1], records[2 * n] = key, '2 1 ' .. ARGV[argument - 1] .. rest
    entries[2 * n], entries[2 * n + 1] = score, ARGV[argument - 2]
  end
end

if redis.pcall('MSETNX', unpack(records, 1, 2 * n)) ~= 1 then
  local all = n
  n = 0
  for i = 1, all do
    local taken = redis.pcall('SET', records[2 * i - 1], records[2 * i], 'NX')
    if taken and taken.ok then
      n = n + 1
      places[n] = places[i]
      records[2 * n - 1] = records[2 * i - 1]
      entries[2 * n], entries[2 * n + 1] = entries[2 * i], entries[2 * i + 1]
    end
  end
end
if n > 0 and type(redis.pcall('ZADD', unpack(entries, 1, 2 * n + 1))) == 'table' then
  for i = 1, n do
    redis.call('DEL', records[2 * i - 1])
  end
  n = 0
end

if n == #KEYS - 1 then
  return string.rep('1', n)
end
local answers = {}
for i = 1, #KEYS - 1 do
  answers[i] = '0'
end
for i = 1, n do
  answers[places[i]] = '1'
end
return table.concat(answers)
