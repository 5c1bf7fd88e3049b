-- End a lease: its counters are set right, its usage event is written, and it is gone, all at once.
--
-- KEYS[1]  lease    hash, see quota_lease.lua
-- KEYS[2]  leases   sorted set of live leases
-- KEYS[3]  stream   of the shard's usage events
-- KEYS[4…] scopes   strings, see quota_scope.lua; the same and in the same order as when reserved
-- ARGV[1]  id of the lease
-- ARGV[2]  requests: 1, or 0 for one that is to count nowhere
-- ARGV[3]  input tokens
-- ARGV[4]  output tokens
-- ARGV[5]  cost, nanodollars
-- ARGV[6]  the usage event, JSON; empty for none
--
-- Returns 1; 0 when the lease is gone, and then nothing was done.

local used = amounts(tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]))
return end_lease(ARGV[1], ARGV[6], used, tonumber(ARGV[5]), now_ms()) and 1 or 0
