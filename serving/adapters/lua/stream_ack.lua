-- Entries are stored for good: acknowledge and drop them. Returns how many were still there.
--
-- KEYS[1]  stream   one shard's
-- ARGV[1]  the consumer group
-- ARGV[2…] ids of entries

redis.call('XACK', KEYS[1], unpack(ARGV))
return redis.call('XDEL', KEYS[1], unpack(ARGV, 2))
