-- Calls of one tool by one tenant in a minute: part of the scripts that need them.
--
-- A rate is a string: the moment, ms of Unix time, at which all calls so far are worn off. A call
-- puts it off by a minute's share, so that the limit is smooth (GCRA); a whole minute's may be made
-- at once.

local MINUTE_MS = 60000

-- Kept within what a minute's worth of calls made twice comes to: clocks may be set back.
local function worn_off_ms(key, now)
  local at = tonumber(redis.call('GET', key) or now)
  return math.min(math.max(at, now), now + 2 * MINUTE_MS)
end

local function calls_left(key, limit, now)
  local left = (now + MINUTE_MS - worn_off_ms(key, now)) * limit / MINUTE_MS
  return math.max(0, math.floor(left))
end

local function count_calls(key, limit, calls, now)
  if limit > 0 then
    local at = math.min(worn_off_ms(key, now) + calls * MINUTE_MS / limit, now + 2 * MINUTE_MS)
    redis.call('SET', key, string.format('%.3f', at), 'PX', math.ceil(at - now) + 1)
  end
end
