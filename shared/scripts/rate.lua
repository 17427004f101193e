-- Admit a message in all windows that it must fit, or in none, by Redis's own clock.
--
-- Each list holds the times of the latest admissions, as many as its window takes: the message fits
-- if the oldest of these is out of the window. Exact, where a counter per second would let twice as
-- many pass around its end. A repeat after a lost reply may count one more, which only slows down.
--
-- KEYS  list of times (us) of each window, ...
-- ARGV  most in the window, its length in ms; for each key
-- Reply 0: go, and it is counted; else ms until it may fit
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]

-- Times of an edited list are no times; those after now were taken before the clock was set back.
local function heal(key)
  local last = redis.call('LINDEX', key, -1)
  if not last or (tonumber(last) or math.huge) <= now then return end
  local times = redis.call('LRANGE', key, 0, -1)
  for i, time in ipairs(times) do
    times[i] = string.format('%.0f', math.min(tonumber(time) or now, now))
  end
  redis.call('DEL', key)
  for _, time in ipairs(times) do redis.call('RPUSH', key, time) end
end

local wait = 0
for i, key in ipairs(KEYS) do
  local kind = redis.call('TYPE', key)['ok']
  if kind ~= 'list' and kind ~= 'none' then redis.call('DEL', key) end -- not ours
  heal(key)
  local oldest = redis.call('LINDEX', key, -tonumber(ARGV[2 * i - 1]))
  if oldest then
    wait = math.max(wait, (tonumber(oldest) or now) + ARGV[2 * i] * 1000 - now)
  end
end
if wait > 0 then return math.ceil(wait / 1000) end
for i, key in ipairs(KEYS) do
  redis.call('RPUSH', key, string.format('%.0f', now))
  redis.call('LTRIM', key, -tonumber(ARGV[2 * i - 1]), -1)
  redis.call('PEXPIRE', key, ARGV[2 * i])
end
return 0
