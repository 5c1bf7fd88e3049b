-- Entries of one shard that a consumer was given long ago and has not acknowledged, to a new one.
--
-- KEYS[1]  stream   one shard's
-- ARGV[1]  the consumer group
-- ARGV[2]  the consumer that gets them
-- ARGV[3]  how long ago, ms
-- ARGV[4]  how many entries at most
--
-- Returns the entries; none where there is no such group.

local found = redis.pcall('XAUTOCLAIM', KEYS[1], ARGV[1], ARGV[2], ARGV[3], '0-0',
  'COUNT', ARGV[4])
if found.err and string.find(found.err, '^NOGROUP') then
  return {}
end
return found.err and found or found[2]
