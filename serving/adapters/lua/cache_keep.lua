-- Keeps an answer, and makes room for it by forgetting those that would expire first.
--
-- KEYS[1]  entry   see cache_shard.lua
-- KEYS[2]  purges  see there
-- KEYS[3]  sums    see there
-- KEYS[4]  lock    see cache_claim.lua
-- KEYS[5]  index   see cache_shard.lua
-- KEYS[6]  sizes   see there
-- ARGV[1]  what the keys of all entries begin with
-- ARGV[2]  the name of the entry, the rest of its key
-- ARGV[3]  the data
-- ARGV[4]  when the answer was begun, ms
-- ARGV[5]  how long it is kept, ms
-- ARGV[6]  its tags, a line each
-- ARGV[7]  how many bytes the shard may have
-- ARGV[8]  the token of the leave to make it
--
-- Returns how many were forgotten for it; -1 where it was purged meanwhile, -2 where it has no room.

local EVICTED_AT_ONCE = 100
local now, name, size = now_ms(), ARGV[2], #ARGV[3]
local most = tonumber(ARGV[7])
if redis.call('GET', KEYS[4]) == ARGV[8] then
  redis.call('DEL', KEYS[4])
end
if is_purged(KEYS[2], ARGV[6], tonumber(ARGV[4])) then
  return -1
end
prune(ARGV[1], KEYS[5], KEYS[6], KEYS[3], now)
drop(ARGV[1], KEYS[5], KEYS[6], KEYS[3], name)
local function is_full()
  return tonumber(redis.call('HGET', KEYS[3], 'bytes') or 0) + size > most
end
local evicted = 0
while is_full() and evicted < EVICTED_AT_ONCE do
  local first = redis.call('ZRANGE', KEYS[5], 0, 0)[1]
  if not first then
    break
  end
  drop(ARGV[1], KEYS[5], KEYS[6], KEYS[3], first)
  evicted = evicted + 1
end
redis.call('HINCRBY', KEYS[3], 'evicted', evicted)
if is_full() then
  return -2
end
redis.call('HSET', KEYS[1], 'data', ARGV[3], 'at', now, 'begun', ARGV[4], 'tags', ARGV[6])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
redis.call('ZADD', KEYS[5], now + tonumber(ARGV[5]), name)
redis.call('HSET', KEYS[6], name, size)
redis.call('HINCRBY', KEYS[3], 'bytes', size)
redis.call('HINCRBY', KEYS[3], 'stored', 1)
return evicted
