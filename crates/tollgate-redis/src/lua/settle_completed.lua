-- T4, settle, the short way: who holds an armed claim says how it ended. Whatever else is the case falls through to the whole rule,
-- in `settle`. Most settlements end here, before the rest of the script is even defined.
--
-- All that a claim has before its phase stays as it is; an armed one has neither answer nor evidence.
--
-- KEYS and ARGV: as `settle`

if ARGV[3] == 'completed' then
  local found = redis.call('GET', KEYS[4])
  local head = '2 ' .. ARGV[2] .. ' '
  if found and string.sub(found, 1, #head) == head then
    local retention, phase = string.match(found, '^%x+ %x+ (%d+) %d+ ()armed %d+ %- %- 0 $', #head + 1)
    if retention then
      local at = now()
      local expires = later(at, tonumber(retention))
      local until_ = text(expires)
      redis.call('ZADD', KEYS[1], until_, ARGV[1])
      redis.call('SET', KEYS[4], string.sub(found, 1, phase - 1) .. 'completed ' .. text(at) .. ' ' .. until_ .. ' - ' .. ARGV[6],
        'PXAT', text(math.ceil(later(expires, tonumber(ARGV[5])) / 1000)))
      return { 'applied' }
    end
  end
end
