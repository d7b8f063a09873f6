-- Before every script about webhook events: an event is one hash, and stands in one index by the time it may be forgotten.
--
--   KEYS[1]  the index   KEYS[2]  the event, or the first of several

local INDEX, EVENT = KEYS[1], KEYS[2]

-- an event that nobody processed is forgotten a day after its claim lapsed
local UNPROCESSED = 86400000000

local function load(key)
  local f = redis.call('HMGET', key, 'v', 'digest', 'fence', 'done', 'until')
  if not f[1] then
    if redis.call('EXISTS', key) == 0 then
      return nil
    end
    return nil, unreadable('the event has no version')
  end
  local event = { digest = f[2], fence = f[3], done = f[4] == '1', until_ = tonumber(f[5] or '') }
  if f[1] ~= '1' or not (event.digest and tonumber(event.fence or '') and f[4] and event.until_) then
    return nil, unreadable('the event was written by another version, or is damaged')
  end
  return event
end

local function forgettable_at(done, until_)
  return done and until_ or later(until_, UNPROCESSED)
end

local function put(member, digest, fence, done, until_)
  local gone = forgettable_at(done, until_)
  redis.call('ZADD', INDEX, text(gone), member)
  redis.call('HSET', EVENT, 'v', '1', 'digest', digest, 'fence', fence, 'done', done and '1' or '0', 'until', text(until_))
  expire(EVENT, gone)
end
