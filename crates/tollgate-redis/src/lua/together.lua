-- T1 and T4, the short ways of begin and settle, for many at once: claims that arm, without a cap, take keys under which nothing stands;
-- who hold armed claims say how they ended. Each is answered at its place: '1', acquired for the first time, or applied; '0', nothing was
-- done, and it is to ask alone, by `begin` or `settle`, which know the rest.
--
-- One script may touch all these records because they lie in one slot of a cluster, whatever they are: the prefix is their hash tag.
--
-- Of two steps about one key the first is decided here. All keys are taken in one go, which happens only if all of them are free, of
-- any type; otherwise one by one. Then everything is filed, in one go. If the index refuses that (it is a key of another type), the new
-- records go again, and no claim is settled: a claim that the sweep cannot find must not stay. Settled records are written last; where
-- one is refused, its claim goes back to its place in the index. What they keep of the claim is as in `settle_completed`.
--
-- KEYS: watch, then the records, first those of the begins. ARGV: how many begin, forget_after; for each that begins its member, 'owner
-- fingerprint tenant retention' as a record has them, lease; for each that settles its member, 'epoch owner', the answer behind its size

local CLAIM = '^ (%d+) (%d+) ()armed %d+ %- %- 0 $'
local steps, begins = #KEYS - 1, tonumber(ARGV[1])
local at = now()
local entries, seen = { KEYS[1] }, {}

-- begins: records are keys and values by turns; place is whose the n-th of them is
local armed, lease, rest, score = ' armed ' .. text(at) .. ' - - 0 ', nil, nil, nil
local records, place, taken = {}, {}, 0
for i = 1, begins do
  local key, argument = KEYS[i + 1], 3 * i
  if not seen[key] then
    seen[key] = true
    if ARGV[argument + 2] ~= lease then
      -- it is the same for all, as a rule
      lease = ARGV[argument + 2]
      local lease_until = later(at, lease)
      rest, score = ' ' .. text(lease_until) .. armed, text(lease_until - MOST - 1)
    end
    taken = taken + 1
    place[taken] = i
    records[2 * taken - 1], records[2 * taken] = key, '2 1 ' .. ARGV[argument + 1] .. rest
    entries[2 * taken], entries[2 * taken + 1] = score, ARGV[argument]
  end
end
if taken > 0 and redis.pcall('MSETNX', unpack(records, 1, 2 * taken)) ~= 1 then
  local all = taken
  taken = 0
  for i = 1, all do
    local set = redis.pcall('SET', records[2 * i - 1], records[2 * i], 'NX')
    if set and set.ok then
      taken = taken + 1
      place[taken] = place[i]
      records[2 * taken - 1] = records[2 * i - 1]
      entries[2 * taken], entries[2 * taken + 1] = entries[2 * i], entries[2 * i + 1]
    end
  end
end

-- settlements: found is what stands there; what is of another type is as absent, and if the command is refused, all are
local done = taken
local found = steps > begins and redis.pcall('MGET', unpack(KEYS, begins + 2)) or {}
local ended, kept, until_, gone_at = 'completed ' .. text(at) .. ' ', nil, nil, nil
for i = begins + 1, steps do
  local argument, record = 3 * i, found[i - begins]
  local head = '2 ' .. ARGV[argument + 1] .. ' '
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
        gone_at = text(math.ceil(later(expires, ARGV[2]) / 1000))
      end
      done = done + 1
      place[done] = i
      records[2 * done - 1], records[2 * done] = gone_at, string.sub(record, 1, phase - 1) .. rest .. ARGV[argument + 2]
      entries[2 * done], entries[2 * done + 1] = until_, ARGV[argument]
    end
  end
end

if done > 0 and type(redis.pcall('ZADD', unpack(entries, 1, 2 * done + 1))) == 'table' then
  for i = 1, taken do
    redis.call('DEL', records[2 * i - 1])
  end
  taken, done = 0, 0
end
local answers = {}
for i = 1, steps do
  answers[i] = '0'
end
for i = 1, taken do
  answers[place[i]] = '1'
end
for i = taken + 1, done do
  local step = place[i]
  if redis.pcall('SET', KEYS[step + 1], records[2 * i], 'PXAT', records[2 * i - 1]).ok then
    answers[step] = '1'
  else
    local _, lease_until = string.match(found[step - begins], CLAIM, #ARGV[3 * step + 1] + 85)
    redis.call('ZADD', KEYS[1], text(lease_until - MOST - 1), ARGV[3 * step])
  end
end
return table.concat(answers)
