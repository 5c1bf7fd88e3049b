-- Keep leases of one shard alive, and store what they have used so far.
--
-- KEYS[1]  leases   sorted set of live leases
-- KEYS[2…] lease    hashes, see quota_lease.lua
-- ARGV[1]  how long they live from now on, ms
-- ARGV[2…] for each lease: id, input tokens, output tokens, cost, the usage event
--
-- Returns the number of each lease that is gone, counted from 1.

local expires = now_ms() + tonumber(ARGV[1])
local gone = {}
for number = 1, #KEYS - 1 do
  local lease, first = KEYS[1 + number], 5 * number - 3
  if redis.call('EXISTS', lease) == 1 then
    local used = table.concat({ARGV[first + 1], ARGV[first + 2], ARGV[first + 3]}, ' ')
    redis.call('HSET', lease, 'used', used, 'event', ARGV[first + 4])
    redis.call('ZADD', KEYS[1], expires, ARGV[first])
  else
    gone[#gone + 1] = number
  end
end
return gone
