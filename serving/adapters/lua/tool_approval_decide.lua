-- A person approves or denies a call. The same decision a second time changes nothing.
--
-- KEYS[1]  approval  hash, see tool_approval_add.lua
-- KEYS[2]  waiting   sorted set, see there
-- ARGV[1]  `<project> <id>`
-- ARGV[2]  the status that it gets
-- ARGV[3]  who decides
-- ARGV[4]  why; may be empty
-- ARGV[5]  how long the decision is kept, ms
--
-- Returns 1 where it has that status now, 0 where it was decided otherwise before, -1 where it is
-- gone.

local status = redis.call('HGET', KEYS[1], 'status')
if not status then
  return -1
elseif status ~= 'pending_approval' then
  return status == ARGV[2] and 1 or 0
end
redis.call('HSET', KEYS[1], 'status', ARGV[2], 'by', ARGV[3], 'at', now_ms(), 'reason', ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
redis.call('ZREM', KEYS[2], ARGV[1])
return 1
