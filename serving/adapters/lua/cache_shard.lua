-- One shard of the response cache: part of the scripts that need it.
--
-- An entry is a hash: data, at (when it was stored, ms), begun (when its answer was begun, ms), tags
-- (what it may be purged by, a line each). Beside all entries of a shard there are
--   index   sorted set: the names of entries by when they expire, ms
--   sizes   hash: the bytes of each
--   sums    hash: bytes (of all), hits, misses, stored, evicted, purged
--   purges  sorted set: tags by when they were purged, ms; '*' stands for all tags

local PRUNED_AT_ONCE = 100

local function is_purged(purges, tags, begun)
  local at = redis.call('ZSCORE', purges, '*')
  if at and tonumber(at) >= begun then
    return true
  end
  for tag in string.gmatch(tags, '[^\n]+') do
    at = redis.call('ZSCORE', purges, tag)
    if at and tonumber(at) >= begun then
      return true
    end
  end
  return false
end

-- The data of an entry and its age, ms; nothing where there is none that may be given.
local function found(key, purges, now, most_ms)
  local entry = redis.call('HMGET', key, 'data', 'at', 'begun', 'tags')
  if not entry[1] then
    return nil
  end
  -- Clocks may be set back.
  local age = math.max(0, now - tonumber(entry[2]))
  if age > most_ms or is_purged(purges, entry[4], tonumber(entry[3])) then
    return nil
  end
  return entry[1], age
end

local function drop(prefix, index, sizes, sums, name)
  redis.call('UNLINK', prefix .. name)
  redis.call('ZREM', index, name)
  local size = redis.call('HGET', sizes, name)
  if size then
    redis.call('HDEL', sizes, name)
    redis.call('HINCRBY', sums, 'bytes', -tonumber(size))
  end
end

-- Forgets some of those that have expired.
local function prune(prefix, index, sizes, sums, now)
  local names = redis.call('ZRANGEBYSCORE', index, '-inf', now, 'LIMIT', 0, PRUNED_AT_ONCE)
  for _, name in ipairs(names) do
    drop(prefix, index, sizes, sums, name)
  end
end
