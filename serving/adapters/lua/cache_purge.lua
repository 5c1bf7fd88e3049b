-- From now on no answer with a tag is given that was begun before.
--
-- KEYS[1]  purges  see cache_shard.lua
-- ARGV[1]  the tag
-- ARGV[2]  how long that has to be remembered, ms
-- ARGV[3]  how many tags are remembered; beyond that, older ones are one: all that was begun before

local now = now_ms()
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. (now - tonumber(ARGV[2])))
local most = tonumber(ARGV[3])
local over = redis.call('ZCARD', KEYS[1]) - most
if over > 0 then
  -- Half of them at once: what is thrown away with them is not thrown away with every purge.
  local cut = over + math.floor(most / 2) - 1
  local last = redis.call('ZRANGE', KEYS[1], cut, cut, 'WITHSCORES')
  redis.call('ZREMRANGEBYRANK', KEYS[1], 0, cut)
  redis.call('ZADD', KEYS[1], last[2], '*')
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
