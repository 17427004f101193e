-- Make dead letters of one alert deliverable again, in one step. Repeating it after a lost reply
-- changes nothing: the letters are gone then.
--
-- The entry goes to a consumer that is nobody, as if it had held it for long, so that any notifier
-- takes it over at once. An entry that is pending already stays with whoever has it: the revived
-- are then missing at its next attempt; unless it is so old that there is none.
--
-- KEYS  dead letters of the channel, stream of the alert, ledger entry of the recipient of each
--       letter, ..., ledger entries of the other recipients, ...
-- ARGV  group, consumer that is nobody, entry ID in the stream, idle ms, oldest age ms that is tried
--       again without us, ledger TTL ms, letter ID, ...
-- Reply revived | pending (revived, with others) | gone (no such letter) | trimmed (no such entry) |
--       busy (pending, and too old) | no group; only the first two change something
local letters = #ARGV - 6
for i = 1, letters do
  local id = ARGV[6 + i]
  if #redis.call('XRANGE', KEYS[1], id, id) == 0 then return 'gone' end
end
if #redis.call('XRANGE', KEYS[2], ARGV[3], ARGV[3]) == 0 then return 'trimmed' end
local there = redis.pcall('XPENDING', KEYS[2], ARGV[1], ARGV[3], ARGV[3], 1)
if there['err'] then return 'no group' end

local status = 'pending'
if #there == 0 then
  status = 'revived'
  redis.call('XCLAIM', KEYS[2], ARGV[1], ARGV[2], 0, ARGV[3], 'IDLE', ARGV[4], 'RETRYCOUNT', 0,
             'FORCE', 'JUSTID')
  -- Everybody else was done with it. What has left the ledger since must not be sent again.
  for i = 3 + letters, #KEYS do
    redis.call('SET', KEYS[i], 'settled before a replay', 'NX', 'PX', ARGV[6])
  end
elseif there[1][2] ~= ARGV[2] then
  local clock = redis.call('TIME')
  local age = clock[1] * 1000 - tonumber(string.match(ARGV[3], '^%d+'))
  if age >= tonumber(ARGV[5]) then return 'busy' end
end
for i = 1, letters do
  redis.call('DEL', KEYS[2 + i])
  redis.call('XDEL', KEYS[1], ARGV[6 + i])
end
return status
