-- Put a whole policy in place, and drop the deltas that nobody needs any more.
--
-- Where deltas have gone on from its version they stay, and so does the version they lead to.
-- Otherwise the version becomes that of the checkpoint, and all deltas go.
--
-- KEYS[1]  version     string `<number> <epoch>`: what followers poll
-- KEYS[2]  deltas      stream of one entry a version, its id is `<number>-0`
-- KEYS[3]  checkpoint  hash: `version` as in KEYS[1], `data`
-- ARGV[1]  number of the checkpoint's version
-- ARGV[2]  epoch of the checkpoint's version
-- ARGV[3]  the checkpoint
-- ARGV[4]  how many deltas up to the checkpoint stay, for followers that are a little behind
-- ARGV[5]  channel on which followers listen for hints

local function number_in_epoch(version)
  local number, epoch = string.match(version or '', '^(%d+) (.+)$')
  return epoch == ARGV[2] and tonumber(number) or nil
end

local function deltas_follow(number)
  local id = string.format('%.0f-0', number + 1)
  return #redis.call('XRANGE', KEYS[2], id, id) == 1
end

local number = tonumber(ARGV[1])
local version = ARGV[1] .. ' ' .. ARGV[2]
local published = number_in_epoch(redis.call('GET', KEYS[1]))
local is_passed = published and published > number and deltas_follow(number)
local newest = number_in_epoch(redis.call('HGET', KEYS[3], 'version'))

if is_passed and newest and newest > number then
  return
end
redis.call('HSET', KEYS[3], 'version', version, 'data', ARGV[3])
if is_passed or published == number then
  local oldest = string.format('%.0f-0', math.max(0, number - tonumber(ARGV[4]) + 1))
  redis.call('XTRIM', KEYS[2], 'MINID', oldest)
else
  redis.call('DEL', KEYS[2])
  redis.call('SET', KEYS[1], version)
end
redis.call('PUBLISH', ARGV[5], version)
