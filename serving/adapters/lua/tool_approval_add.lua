-- A call waits for a person's approval. A second time with the same id changes nothing.
--
-- KEYS[1]  approval  hash: data (JSON), status, digest, and once decided: by, at (ms), reason
-- KEYS[2]  waiting   sorted set of one tenant: `<project> <id>` by when they expire, ms
-- ARGV[1]  `<project> <id>`
-- ARGV[2]  how long it waits, ms
-- ARGV[3]  how many may wait
-- ARGV[4]  the approval, JSON
-- ARGV[5]  the digest of its call
--
-- Returns 1; 0 where too many wait, and then it can never be approved.

local now, lives_ms = now_ms(), tonumber(ARGV[2])
if redis.call('EXISTS', KEYS[1]) == 1 then
  return 1
end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[3]) then
  return 0
end
redis.call('HSET', KEYS[1], 'data', ARGV[4], 'status', 'pending_approval', 'digest', ARGV[5])
redis.call('PEXPIRE', KEYS[1], lives_ms)
redis.call('ZADD', KEYS[2], now + lives_ms, ARGV[1])
redis.call('PEXPIRE', KEYS[2], lives_ms)
return 1
