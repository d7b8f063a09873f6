-- T4, settle, the short way: who holds an armed claim says how it ended. Whatever else is the case falls through to the whole rule,
-- in `settle`. Most settlements end here, before the rest of the script is even defined.
--
-- All that a claim has before its phase stays as it is; an armed one has neither answer nor evidence. Fingerprint and tenant are as
-- long in one record as in the next: they are passed over, and what follows must begin where they end.
--
-- KEYS and ARGV: as `settle`. Answers 1, for "applied"

if #ARGV == 4 then
  local found = redis.call('GET', KEYS[4])
  local head = '2 ' .. ARGV[2] .. ' '
  if found and string.sub(found, 1, #head) == head then
    local retention, phase = string.match(found, '^ (%d+) %d+ ()armed %d+ %- %- 0 $', #head + 82)
    if retention then
      local at = now()
      local expires = later(at, retention)
      local until_ = text(expires)
      redis.call('ZADD', KEYS[1], until_, ARGV[1])
      redis.call('SET', KEYS[4], string.sub(found, 1, phase - 1) .. 'completed ' .. text(at) .. ' ' .. until_ .. ' - ' .. ARGV[4],
        'PXAT', text(math.ceil(later(expires, ARGV[3]) / 1000)))
      return 1
    end
  end
end
