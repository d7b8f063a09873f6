-- Which of these records are open and cannot be expected to be settled: for each, nothing, or tenant, epoch, phase, since, doubt.
--
-- KEYS: the indexes, then the records

local at = now()
local found = {}
for i = 4, #KEYS do
  local record, bad = load(KEYS[i])
  if bad then
    return bad
  end
  if record and (record.phase == 'unknown' or (record.phase == 'armed' and record.lease < at)) then
    found[i - 3] = { record.tenant, record.epoch, record.phase, record.changed, record.doubt ~= '-' and record.doubt }
  else
    found[i - 3] = false
  end
end
return found
