-- End an expired lease with what its last renewal said; the event in it is written.
--
-- KEYS[1]  lease    hash, see quota_lease.lua
-- KEYS[2]  leases   sorted set of live leases
-- KEYS[3]  stream   of the shard's usage events
-- KEYS[4…] scopes   strings, see quota_scope.lua; the same and in the same order as when reserved
-- ARGV[1]  id of the lease
--
-- Returns 1; 0 when it has not expired or is gone, and then nothing was done.

local now = now_ms()
local expires = tonumber(redis.call('ZSCORE', KEYS[2], ARGV[1]))
if not expires or expires > now then
  return 0
end
local used, event = unpack(redis.call('HMGET', KEYS[1], 'used', 'event'))
if not event then
  redis.call('ZREM', KEYS[2], ARGV[1])
  return 0
end
local input, output, cost = string.match(used or '0 0 0', '^(%S+) (%S+) (%S+)$')
used = amounts(1, tonumber(input), tonumber(output))
return end_lease(ARGV[1], event, used, tonumber(cost), now) and 1 or 0
