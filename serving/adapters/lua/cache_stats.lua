-- KEYS[1]  index   see cache_shard.lua
-- KEYS[2]  sums    see there
-- KEYS[3]  sizes   see there
-- ARGV[1]  what the keys of all entries begin with
--
-- Returns how many entries there are, and bytes, hits, misses, stored, evicted, purged.

prune(ARGV[1], KEYS[1], KEYS[3], KEYS[2], now_ms())
local sums = redis.call('HMGET', KEYS[2], 'bytes', 'hits', 'misses', 'stored', 'evicted', 'purged')
local told = {redis.call('ZCARD', KEYS[1])}
for number = 1, 6 do
  told[number + 1] = tonumber(sums[number] or 0)
end
return told
