-- Calls were passed on to a client.
--
-- KEYS[1]  run    hash: calls, tainted
-- KEYS[2…] rates  strings, see tool_rate.lua
-- ARGV[1]  how long the run is remembered without another call, ms; 0: it has no session
-- ARGV[2]  how many calls
-- ARGV[3]  1 where an untrusted text is in it
-- ARGV[4…] for each rate: its limit, and how many calls were of its tool

local now = now_ms()
if tonumber(ARGV[1]) > 0 then
  redis.call('HINCRBY', KEYS[1], 'calls', ARGV[2])
  if ARGV[3] == '1' then
    redis.call('HSET', KEYS[1], 'tainted', 1)
  end
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
for number = 1, #KEYS - 1 do
  local limit, calls = tonumber(ARGV[2 + 2 * number]), tonumber(ARGV[3 + 2 * number])
  count_calls(KEYS[1 + number], limit, calls, now)
end
return 1
