-- What time it is by the server.
--
-- KEYS: any of the prefix

return { text(now()) }
