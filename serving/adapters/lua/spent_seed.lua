-- Make the money that scopes have spent this month at least what the database knows of: after Redis
-- has lost it, and for scopes that get a budget in the middle of a month.
--
-- KEYS     scopes   of one hash tag, see quota_scope.lua
-- ARGV[1]  the calendar month that the amounts are of, as 202511
-- ARGV[2…] nanodollars spent, in the order of KEYS
--
-- Returns how many scopes knew of less.

local now = now_ms()
local month = month_at(now)
local raised = 0
for number, key in ipairs(KEYS) do
  local scope, spent = read_scope(key, nil, now, month), tonumber(ARGV[1 + number])
  if scope.month == tonumber(ARGV[1]) and scope.spent < spent then
    scope.spent = spent
    write_scope(scope, now)
    raised = raised + 1
  end
end
return raised
