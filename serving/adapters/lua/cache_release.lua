-- Gives back the leave to make an answer that is not kept.
--
-- KEYS[1]  lock  see cache_claim.lua
-- ARGV[1]  the token

if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('DEL', KEYS[1])
end
return 1
