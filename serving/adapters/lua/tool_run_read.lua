-- What is known before the next calls of a run.
--
-- KEYS[1]  run        hash: calls, tainted; of no session: a key that is never written
-- KEYS[2…] rates      strings, see tool_rate.lua, as many as ARGV[1]
-- KEYS[…]  approvals  hashes, see tool_approval_add.lua
-- ARGV[1]  how many rates
-- ARGV[2]  how long what is decided is kept from now on, ms
-- ARGV[3…] limits of the rates, calls a minute
--
-- Returns the calls made, 1 where it is tainted, the calls left of each rate, and for each approval
-- its status and its digest, empty where there is none.

local now = now_ms()
local rates = tonumber(ARGV[1])
local left, said = {}, {}
for number = 1, rates do
  left[number] = calls_left(KEYS[1 + number], tonumber(ARGV[2 + number]), now)
end
for number = 2 + rates, #KEYS do
  local found = redis.call('HMGET', KEYS[number], 'status', 'digest')
  said[#said + 1], said[#said + 2] = found[1] or '', found[2] or ''
  if found[1] and found[1] ~= 'pending_approval' then
    redis.call('PEXPIRE', KEYS[number], ARGV[2])
  end
end
local run = redis.call('HMGET', KEYS[1], 'calls', 'tainted')
return {tonumber(run[1] or 0), tonumber(run[2] or 0), left, said}
