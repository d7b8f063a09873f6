-- a record that this build cannot read is an error, never "absent"
local function unreadable(what)
  return redis.error_reply('UNREADABLE ' .. what)
end
