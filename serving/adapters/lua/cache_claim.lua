-- An answer, or else leave to make it: one at a time has that. A second time with the same token
-- says the same.
--
-- KEYS[1]  entry   see cache_shard.lua
-- KEYS[2]  purges  see there
-- KEYS[3]  lock    string: the token of who makes the answer
-- ARGV[1]  how old it may be, ms
-- ARGV[2]  the token
-- ARGV[3]  how long the leave lasts, ms
--
-- Returns 1, the data and the age, ms; or 0, 1 where the leave is given, and the time, ms.

local now = now_ms()
local data, age = found(KEYS[1], KEYS[2], now, tonumber(ARGV[1]))
if data then
  return {1, data, age}
end
local holder = redis.call('GET', KEYS[3])
if not holder then
  redis.call('SET', KEYS[3], ARGV[2], 'PX', ARGV[3])
end
return {0, (not holder or holder == ARGV[2]) and 1 or 0, now}
