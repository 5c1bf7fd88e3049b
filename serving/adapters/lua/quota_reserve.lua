-- Take what one request may use from all of its scopes, or nothing from any of them.
--
-- A second call with the id of a live lease takes nothing more and is answered like the first.
--
-- KEYS[1]  lease    hash, see quota_lease.lua
-- KEYS[2]  leases   sorted set: ids of live leases by when they expire, ms of Unix time
-- KEYS[3…] scopes   strings, see quota_scope.lua
-- ARGV[1]  id of the lease
-- ARGV[2]  how long it lives without being renewed, ms
-- ARGV[3]  input tokens
-- ARGV[4]  output tokens
-- ARGV[5]  cost, nanodollars
-- ARGV[6]  the usage event that stands for it if nobody settles it, JSON
-- ARGV[7…] limits of the scopes in the order of KEYS, '-' for one that does not count
--
-- Returns
--   1 when it was taken (or was before), else 0
--   what refused it: a meter's number, 5 running, 6 budget; 0 when nothing did
--   the scope that refused it, counted from 1
--   ms until it is worth another try; -1: no bucket will ever be large enough
--   of the tightest request meter: limit, what remains, ms until it is full again; -1 for no limit
--   of the tightest token meter: the same three
--   for each scope: nanodollars spent and held, -1 for one without a budget
--   ids of a few expired leases, which are to be reaped

local EXPIRED_AT_ONCE = 4
local BUSY_MS = 1000 -- when a running request ends, nobody knows

local now = now_ms()
local input, output, cost = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local wanted = amounts(1, input, output)
local is_repeated = redis.call('EXISTS', KEYS[1]) == 1
local refusal = {kind = 0, scope = 0, wait_ms = 0}
local tightest = {{-1, -1, -1}, {-1, -1, -1}}

-- Of several refusals the one that lasts longest is told.
local function refuse(kind, scope, wait_ms)
  local is_longer = wait_ms < 0 or wait_ms > refusal.wait_ms
  if refusal.kind == 0 or (refusal.wait_ms >= 0 and is_longer) then
    refusal = {kind = kind, scope = scope, wait_ms = wait_ms}
  end
end

local function check_meter(meter, number, scope)
  local taken = wanted[meter] * METERS[meter].unit
  local size = bucket(meter, scope.limits)
  local over = scope.debts[meter] + taken - size
  if taken > size then
    refuse(meter, number, -1)
  elseif taken > 0 and over > 0 then
    refuse(meter, number, math.ceil(over / scope.limits[meter]) * METERS[meter].step_ms)
  end
end

local function check_budget(number, scope)
  local month_ms = month_end_ms(scope.month) - now
  if scope.spent + scope.held + cost > scope.limits[BUDGET] then
    refuse(6, number, month_ms)
  end
end

local function check(number, scope)
  for meter = 1, #METERS do
    if scope.limits[meter] then
      check_meter(meter, number, scope)
    end
  end
  if scope.limits[RUNNING] and scope.running >= scope.limits[RUNNING] then
    refuse(5, number, scope.limits[RUNNING] == 0 and -1 or BUSY_MS)
  end
  if scope.limits[BUDGET] then
    check_budget(number, scope)
  end
end

local function take(scope)
  for meter = 1, #METERS do
    if scope.limits[meter] then
      scope.debts[meter] = scope.debts[meter] + wanted[meter] * METERS[meter].unit
    end
  end
  scope.running = scope.running + 1
  scope.held = scope.held + cost
  write_scope(scope, now)
end

local function tell_rate(meter, scope)
  local limit, debt = scope.limits[meter], scope.debts[meter]
  local remaining = math.max(0, math.floor((bucket(meter, scope.limits) - debt) / METERS[meter].unit))
  local sort = meter == 1 and 1 or 2
  if tightest[sort][2] < 0 or remaining < tightest[sort][2] then
    local steps = limit > 0 and math.ceil(debt / limit) or 0
    tightest[sort] = {limit, remaining, steps * METERS[meter].step_ms}
  end
end

local scopes, texts, spent = {}, {}, {}
local month = month_at(now)
for number = 1, #KEYS - 2 do
  local text = ARGV[6 + number]
  texts[number], spent[number] = text, -1
  if text ~= '-' then
    scopes[number] = read_scope(KEYS[2 + number], text, now, month)
    month = math.max(month, scopes[number].month)
  end
end

for number, scope in pairs(scopes) do
  turn_month(scope, month)
  if not is_repeated then
    check(number, scope)
  end
end

local is_taken = refusal.kind == 0
for number, scope in pairs(scopes) do
  if is_taken and not is_repeated then
    take(scope)
  elseif scope.is_reset then
    write_scope(scope, now)
  end
  for meter = 1, #METERS do
    if scope.limits[meter] then
      tell_rate(meter, scope)
    end
  end
  if scope.limits[BUDGET] or scope.limits[SOFT_BUDGET] then
    spent[number] = scope.spent + scope.held
  end
end

if is_taken and not is_repeated then
  local taken = {ARGV[3], ARGV[4], ARGV[5], string.format('%d', month), unpack(texts)}
  redis.call('HSET', KEYS[1], 'taken', table.concat(taken, ' '), 'event', ARGV[6])
  redis.call('ZADD', KEYS[2], now + tonumber(ARGV[2]), ARGV[1])
end

local expired = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, EXPIRED_AT_ONCE)
return {is_taken and 1 or 0, refusal.kind, refusal.scope, refusal.wait_ms,
  tightest[1][1], tightest[1][2], tightest[1][3],
  tightest[2][1], tightest[2][2], tightest[2][3], spent, expired}
