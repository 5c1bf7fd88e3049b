-- Frees the memory of purged and expired entries, some at a time.
--
-- KEYS[1]  index   see cache_shard.lua
-- KEYS[2]  purges  see there
-- KEYS[3]  sums    see there
-- KEYS[4]  sizes   see there
-- ARGV[1]  what the keys of all entries begin with
-- ARGV[2]  at which rank to begin
-- ARGV[3]  how many to look at
--
-- Returns how many were purged, and at which rank to go on; -1: that was the end.

local now, purged, gone = now_ms(), 0, 0
local first, count = tonumber(ARGV[2]), tonumber(ARGV[3])
local names = redis.call('ZRANGE', KEYS[1], first, first + count - 1)
for _, name in ipairs(names) do
  local entry = redis.call('HMGET', ARGV[1] .. name, 'begun', 'tags')
  local is_there = entry[1] and true or false
  if not is_there or is_purged(KEYS[2], entry[2], tonumber(entry[1])) then
    drop(ARGV[1], KEYS[1], KEYS[4], KEYS[3], name)
    gone = gone + 1
    purged = purged + (is_there and 1 or 0)
  end
end
if purged > 0 then
  redis.call('HINCRBY', KEYS[3], 'purged', purged)
end
return {purged, #names < count and -1 or first + count - gone}
