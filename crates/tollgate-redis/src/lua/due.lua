-- Whose time has come in an index, up to a limit. What is found is decided again, record by record, by the script that acts.
--
-- KEYS: the index. ARGV: limit, and where to look: 'claims' are the records' watch before 0, which is where claims stand

if ARGV[2] == 'claims' then
  return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', text(now() - MOST - 1), 'LIMIT', 0, ARGV[1])
end
return redis.call('ZRANGEBYSCORE', KEYS[1], 0, text(now()), 'LIMIT', 0, ARGV[1])
