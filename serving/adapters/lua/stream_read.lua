-- Entries of one shard that no consumer of the group has had yet. Makes the group where it is not
-- there: at the first start, and after a Redis has come back empty.
--
-- KEYS[1]  stream   one shard's
-- ARGV[1]  the consumer group
-- ARGV[2]  the consumer
-- ARGV[3]  how many entries at most
--
-- Returns what XREADGROUP returns.

local function read()
  return redis.pcall('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', ARGV[3],
    'STREAMS', KEYS[1], '>')
end

local entries = read()
if entries and entries.err and string.find(entries.err, '^NOGROUP') then
  redis.call('XGROUP', 'CREATE', KEYS[1], ARGV[1], '0', 'MKSTREAM')
  return read()
end
return entries
