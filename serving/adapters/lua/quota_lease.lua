-- A lease, and how it ends: part of the scripts that end one.
--
-- A lease is a hash:
--   taken   what was reserved: `input output cost month`, and then for each scope the limits of
--           that time, '-' for one that it does not count in; of requests it is always one.
--           `month`, as 202511, is where its cost counts.
--   event   the usage event that stands for it if nobody settles it
--   used    `input output cost` of that event; not there before the first renewal

local TAKEN = '^(%S+) (%S+) (%S+) (%S+) (.*)$'

-- Writes the event, replaces what the lease of KEYS reserved by what was used, and removes it.
-- False when it is gone. KEYS are lease, leases, stream, scopes…; no event is ''.
--
-- What no limit counted when the lease was taken is not given back now, nor taken.
local function end_lease(id, event, used, cost, now)
  local taken = redis.call('HGET', KEYS[1], 'taken')
  if not taken then
    return false
  end
  if event ~= '' then
    -- First of all: it is refused when there is no memory, and then nothing must have happened.
    redis.call('XADD', KEYS[3], '*', 'event', event)
  end
  local input, output, held, month, texts = string.match(taken, TAKEN)
  local reserved = amounts(1, tonumber(input), tonumber(output))
  held, month = tonumber(held), tonumber(month)
  local number = 0
  for text in string.gmatch(texts, '%S+') do
    number = number + 1
    if text ~= '-' then
      local scope = read_scope(KEYS[3 + number], nil, now, month_at(now))
      local limits = parsed(text)
      for meter in ipairs(METERS) do
        if limits[meter] and scope.limits[meter] then
          local extra = (used[meter] - reserved[meter]) * METERS[meter].unit
          scope.debts[meter] = math.max(0, scope.debts[meter] + extra)
        end
      end
      scope.running = math.max(0, scope.running - 1)
      if scope.month == month then
        scope.held = math.max(0, scope.held - held)
        scope.spent = scope.spent + cost
      end
      write_scope(scope, now)
    end
  end
  redis.call('DEL', KEYS[1])
  redis.call('ZREM', KEYS[2], id)
  return true
end
