-- Judge one evaluated entry once: suppress or add its signal, and advance the cursor, in one step.
-- Event times are compared, since during catch-up candles pass faster than any clock; the TTL
-- only cleans up.
--
-- KEYS  signals stream, dedup hash of market and side, cursor
-- ARGV  entry ID, then nothing (no signal: only advance) or: close time ms, price, window ms,
--       threshold percent, TTL ms, maxlen, signal ID, texts of the signal (field, value, ...)
-- Reply {status, what}: advanced | emitted <stream ID> | suppressed <time>,<price> of the last
--       emitted signal | duplicate <cursor>
local function split(id)
  local ms, seq = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(ms) or 0, tonumber(seq) or 0
end

local stored = redis.call('GET', KEYS[3])
if stored then
  local at_ms, at_seq = split(stored)
  local ms, seq = split(ARGV[1])
  if ms < at_ms or (ms == at_ms and seq <= at_seq) then return {'duplicate', stored} end
end
redis.call('SET', KEYS[3], ARGV[1])
if not ARGV[2] then return {'advanced', ARGV[1]} end

local close_ms, price = tonumber(ARGV[2]), tonumber(ARGV[3])
local last = redis.call('HMGET', KEYS[2], 'close_time_ms', 'price', 'id')
local last_ms, last_price = tonumber(last[1] or nil), tonumber(last[2] or nil)
if last_ms and last_price then
  if last[3] == ARGV[8] then return {'duplicate', stored or ''} end
  if close_ms - last_ms < tonumber(ARGV[4])
     and math.abs(price - last_price) / last_price * 100 < tonumber(ARGV[5]) then
    return {'suppressed', last[1] .. ',' .. last[2]}
  end
end
local id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[7], '*', unpack(ARGV, 9))
redis.call('HSET', KEYS[2], 'close_time_ms', ARGV[2], 'price', ARGV[3], 'id', ARGV[8])
redis.call('PEXPIRE', KEYS[2], ARGV[6])
return {'emitted', id}
