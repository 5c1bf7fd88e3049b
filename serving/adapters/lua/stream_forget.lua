-- Forget the consumers of one shard that are gone: each process of ours has a name of its own.
--
-- KEYS[1]  stream   one shard's
-- ARGV[1]  the consumer group
-- ARGV[2]  for how long a consumer has asked for nothing and holds nothing, ms
--
-- Returns how many there were.

local found = redis.pcall('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])
if found.err then
  return 0 -- no such stream or group yet
end
local forgotten = 0
for _, fields in ipairs(found) do
  local consumer = {}
  for n = 1, #fields, 2 do
    consumer[fields[n]] = fields[n + 1]
  end
  if consumer.pending == 0 and consumer.idle >= tonumber(ARGV[2]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], consumer.name)
    forgotten = forgotten + 1
  end
end
return forgotten
