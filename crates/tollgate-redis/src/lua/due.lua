-- Whose time has come in an index, up to a limit, past the first so many. What is found is decided again, record by record, by the
-- script that acts.
--
-- KEYS: the index. ARGV: limit, how many to pass over, and where to look: 'claims' are the records' watch before 0, which is where
-- claims stand

local from, to = 0, now()
if ARGV[3] == 'claims' then
  from, to = '-inf', to - MOST - 1
end
return redis.call('ZRANGEBYSCORE', KEYS[1], from, text(to), 'LIMIT', ARGV[2], ARGV[1])
