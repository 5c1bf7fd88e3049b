-- One clock for all gateways, and the calendar: part of the scripts that need them.

-- Milliseconds of Unix time.
local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Days since 1970 to year and month, and back from a month's first day; the Gregorian calendar with
-- years that begin in March (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
local function month_of_days(days)
  local shifted = days + 719468
  local era = math.floor(shifted / 146097)
  local day = shifted - era * 146097
  local year = math.floor((day - math.floor(day / 1460) + math.floor(day / 36524)
    - math.floor(day / 146096)) / 365)
  local of_year = day - (365 * year + math.floor(year / 4) - math.floor(year / 100))
  local march = math.floor((5 * of_year + 2) / 153)
  local month = march < 10 and march + 3 or march - 9
  return year + era * 400 + (month <= 2 and 1 or 0), month
end

local function first_day(year, month)
  local shifted = month <= 2 and year - 1 or year
  local era = math.floor(shifted / 400)
  local of_era = shifted - era * 400
  local march = month > 2 and month - 3 or month + 9
  local of_year = math.floor((153 * march + 2) / 5)
  return era * 146097 + of_era * 365 + math.floor(of_era / 4) - math.floor(of_era / 100)
    + of_year - 719468
end

local DAY_MS = 86400000

-- The calendar month in UTC as a number, 202511.
local function month_at(ms)
  local year, month = month_of_days(math.floor(ms / DAY_MS))
  return year * 100 + month
end

-- When the month after `month` begins.
local function month_end_ms(month)
  local year, number = math.floor(month / 100), month % 100
  if number == 12 then
    return first_day(year + 1, 1) * DAY_MS
  end
  return first_day(year, number + 1) * DAY_MS
end
