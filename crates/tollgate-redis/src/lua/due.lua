-- Whose time has come in an index, up to a limit. What is found is decided again, record by record, by the script that acts.
--
-- KEYS: the index. ARGV: limit

return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', text(now()), 'LIMIT', 0, ARGV[1])
