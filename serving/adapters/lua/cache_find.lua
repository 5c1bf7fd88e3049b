-- Writes nothing: every write waits for the disk.
--
-- KEYS[1]  entry   see cache_shard.lua
-- KEYS[2]  purges  see there
-- ARGV[1]  how old it may be, ms
--
-- Returns its data and its age, ms; nothing where there is none.

local data, age = found(KEYS[1], KEYS[2], now_ms(), tonumber(ARGV[1]))
return data and {data, age} or {}
