-- The counters of one scope, brought up to date: part of the scripts that need them.
--
-- A scope is a string: nine doubles (little-endian), then the limits it was last held to.
--   at        when its rates were last brought up to date, ms of Unix time
--   running   live leases
--   month     the calendar month of the next two, as 202511
--   spent     nanodollars of settled leases
--   held      nanodollars that live leases have reserved
--   requests, input, output, day
--             debts: what was taken and has not drained since, in units of its meter
-- It expires when nothing of it is left but zeros, and never while a lease is live.
--
-- Limits are `requests:input:output:day:running:budget:soft_budget:burst_s`, empty where there is
-- none. A meter is the leaky bucket of GCRA: a debt drains by `limit` units every `step_ms`, one
-- request or token adds `unit`, and what does not fit into the bucket is refused. Units are such
-- that one token a period is one unit a step, so all numbers are whole; doubles hold them exactly
-- up to 2^53: buckets of 1.5e11 tokens where they refill by the minute, 1e11 by the day.

local STATE, STATE_BYTES = '<ddddddddd', 72
local LIMITS = '^' .. string.rep('([^:]*):', 7) .. '([^:]*)$'
local METERS = {
  {unit = 60000, step_ms = 1}, -- requests
  {unit = 60000, step_ms = 1}, -- input
  {unit = 60000, step_ms = 1}, -- output
  {unit = 86400, step_ms = 1000}, -- day
}
local DAY, RUNNING, BUDGET, SOFT_BUDGET, BURST_S = 4, 5, 6, 7, 8

-- A clock that went back by more was set right, and is believed; by less, time stands still.
local CLOCK_STEP_MS = 60000
local EXPIRE_SLACK_MS = 60000

local function parsed(text)
  local requests, input, output, day, running, budget, soft, burst_s = string.match(text, LIMITS)
  return {tonumber(requests), tonumber(input), tonumber(output), tonumber(day),
    tonumber(running), tonumber(budget), tonumber(soft), tonumber(burst_s)}
end

-- In units. A minute's meter holds `burst_s` seconds' worth and at least one, a day's a whole day's.
local function bucket(meter, limits)
  local limit = limits[meter]
  if limit == 0 then
    return 0
  elseif meter == DAY then
    return limit * METERS[DAY].unit
  end
  return math.max(METERS[meter].unit, limit * limits[BURST_S] * 1000)
end

local function drained(debt, meter, limits, from_ms, to_ms)
  if debt == 0 or not limits[meter] then
    return debt
  end
  local step_ms = METERS[meter].step_ms
  -- Differences of whole steps add up to the whole time, however often it is looked at.
  local steps = math.floor(to_ms / step_ms) - math.floor(from_ms / step_ms)
  return math.max(0, debt - steps * limits[meter])
end

-- A limit that was changed holds at once, and nobody waits longer than a whole bucket for it.
local function carried_over(debt, meter, was, limits)
  if not limits[meter] then
    return 0
  elseif limits[meter] == was[meter] and limits[BURST_S] == was[BURST_S] then
    return debt
  end
  return math.min(debt, bucket(meter, limits))
end

local function is_set_right(at, now)
  return at - now > CLOCK_STEP_MS
end

-- A new month begins with nothing; a clock that goes back into the last one changes nothing.
local function turn_month(scope, month)
  if scope.month < month then
    scope.month, scope.spent, scope.held = month, 0, 0
  end
end

-- What `write_scope` wrote, at `now` and held to `text`; nil: to what it was held to.
local function restored(was, text, now)
  local scope, debts = {}, {}
  local at
  at, scope.running, scope.month, scope.spent, scope.held,
    debts[1], debts[2], debts[3], debts[4] = struct.unpack(STATE, was)
  local was_text = string.sub(was, STATE_BYTES + 1)
  local held_to = parsed(was_text)
  scope.text = text or was_text
  scope.limits = scope.text == was_text and held_to or parsed(scope.text)
  scope.at = is_set_right(at, now) and now or math.max(at, now)
  for meter = 1, #METERS do
    local debt = drained(debts[meter], meter, held_to, math.min(at, scope.at), scope.at)
    debts[meter] = carried_over(debt, meter, held_to, scope.limits)
  end
  scope.debts = debts
  -- To be kept even if nothing is taken: what is taken next depends on it.
  scope.is_reset = scope.text ~= was_text or is_set_right(at, now)
  return scope
end

-- The scope as it is at `now`, in `month` at least, held to `text`; nil: to what it was held to.
local function read_scope(key, text, now, month)
  local was = redis.call('GET', key)
  local scope = was and restored(was, text, now)
    or {at = now, running = 0, month = month, spent = 0, held = 0, debts = {0, 0, 0, 0},
      text = text or '', limits = parsed(text or '')}
  scope.key = key
  turn_month(scope, month)
  return scope
end

-- How long until nothing is left of it.
local function lifetime_ms(scope, now)
  local longest = scope.spent > 0 and month_end_ms(scope.month) - now or 0
  for meter, debt in ipairs(scope.debts) do
    local limit = scope.limits[meter]
    if debt > 0 and limit and limit > 0 then
      longest = math.max(longest, math.ceil(debt / limit) * METERS[meter].step_ms)
    end
  end
  return math.max(0, longest) + EXPIRE_SLACK_MS
end

local function write_scope(scope, now)
  local state = struct.pack(STATE, scope.at, scope.running, scope.month, scope.spent, scope.held,
    unpack(scope.debts)) .. scope.text
  if scope.running == 0 then
    redis.call('SET', scope.key, state, 'PX', lifetime_ms(scope, now))
  else
    redis.call('SET', scope.key, state)
  end
end

-- Requests and tokens by meter.
local function amounts(requests, input, output)
  return {requests, input, output, input + output}
end
