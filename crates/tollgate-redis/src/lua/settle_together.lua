-- T4, settle, the short way for many: who hold armed claims say how they ended. Each is answered at its place: '1', applied; '0',
-- nothing was done, and it is to ask alone, by `settle`, which knows the rest.
--
-- One script may touch all these records because they lie in one slot of a cluster, whatever they are: the prefix is their hash tag.
--
-- What is kept of a claim, and how it is told, is as in `settle_completed`. Of two settlements of one claim the first is written. All
-- are filed in one go before the first is written; where a record then is refused, its claim goes back to its place in the index.
--
-- KEYS: watch, then the records. ARGV: forget_after, then for each its member, 'epoch owner', the answer behind its size

local CLAIM = '^ (%d+) (%d+) ()armed %d+ %- %- 0 $'
local at = now()
local ended = 'completed ' .. text(at) .. ' '
-- what is of another type is as absent here; and if the command is refused, all are
local found = redis.pcall('MGET', unpack(KEYS, 2))
local kept, until_, rest, gone_at
local entries, records, gone, places, seen, n = { KEYS[1] }, {}, {}, {}, {}, 0
for i = 1, #KEYS - 1 do
  local argument, record = 3 * i, found[i]
  local head = '2 ' .. ARGV[argument] .. ' '
  if record and string.sub(record, 1, #head) == head and not seen[KEYS[i + 1]] then
    local retention, _, phase = string.match(record, CLAIM, #head + 82)
    if retention then
      seen[KEYS[i + 1]] = true
      if retention ~= kept then
        -- it is the same for all, as a rule
        kept = retention
        local expires = later(at, retention)
        until_ = text(expires)
        rest = ended .. until_ .. ' - '
        gone_at = text(math.ceil(later(expires, ARGV[1]) / 1000))
      end
      n = n + 1
      places[n], gone[n] = i, gone_at
      records[n] = string.sub(record, 1, phase - 1) .. rest .. ARGV[argument + 1]
      entries[2 * n], entries[2 * n + 1] = until_, ARGV[argument - 1]
    end
  end
end

if n > 0 and type(redis.pcall('ZADD', unpack(entries, 1, 2 * n + 1))) == 'table' then
  n = 0
end
local answers = {}
for i = 1, #KEYS - 1 do
  answers[i] = '0'
end
for i = 1, n do
  local place = places[i]
  if redis.pcall('SET', KEYS[place + 1], records[i], 'PXAT', gone[i]).ok then
    answers[place] = '1'
  else
    local head = #ARGV[3 * place] + 3
    local _, lease_until = string.match(found[place], CLAIM, head + 82)
    redis.call('ZADD', KEYS[1], text(lease_until - MOST - 1), ARGV[3 * place - 1])
  end
end
return table.concat(answers)
