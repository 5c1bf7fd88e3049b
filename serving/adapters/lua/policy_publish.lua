-- Take the published policy one version on. Returns 1, or 0 when it is not at the version before.
--
-- KEYS[1]  version     string `<number> <epoch>`: what followers poll
-- KEYS[2]  deltas      stream of one entry a version, its id is `<number>-0`
-- ARGV[1]  the version before, as in KEYS[1]
-- ARGV[2]  the new version, as in KEYS[1]
-- ARGV[3]  the number of the new version
-- ARGV[4]  the delta
-- ARGV[5]  channel on which followers listen for hints

if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
redis.call('XADD', KEYS[2], ARGV[3] .. '-0', 'delta', ARGV[4])
redis.call('SET', KEYS[1], ARGV[2])
redis.call('PUBLISH', ARGV[5], ARGV[2])
return 1
