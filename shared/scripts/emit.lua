-- Judge one evaluated entry once: suppress or add its signal, and advance the cursor, in one step.
-- Event times are compared, since during catch-up candles pass faster than any clock; the TTL
-- only cleans up. What Redis has lost since the last answer is noticed here, before anything is
-- written: the caller then goes back, and what it finds again is known by the dedup hash. What
-- people edited until it fits nothing counts as absent. All is read before anything is written.
--
-- KEYS  signals stream, dedup hash of market and side, cursor, dedup hash of the other side
-- ARGV  entry ID, cursor of the last answer ('' = none yet), then nothing (no signal: only
--       advance) or: close time ms, price, window ms, threshold percent, TTL ms, maxlen,
--       signal ID, msgpack of the signal's texts {field, value, ...}
-- Reply {status, what}: advanced | emitted <stream ID> | suppressed <time>,<price> of the last
--       emitted signal | duplicate <cursor> | lost <cursor to continue from>
local function split(id)
  local ms, seq = string.match(id or '', '^(%d+)-(%d+)$')
  return tonumber(ms) or -1, tonumber(seq) or -1
end

-- Redis refuses IDs of more digits.
local function is_id(text)
  local ms, seq = string.match(text or '', '^(%d+)-(%d+)$')
  return ms and #ms < 20 and #seq < 20
end

local function before(one, other)
  local ms, seq = split(one)
  local other_ms, other_seq = split(other)
  return ms < other_ms or (ms == other_ms and seq < other_seq)
end

-- Trimming empties no stream for good: it remembers its last ID. Only a deleted one has none.
local function signals_are_gone()
  if redis.call('XLEN', KEYS[1]) > 0 or redis.call('EXISTS', KEYS[2], KEYS[4]) == 0 then
    return false
  end
  if redis.call('EXISTS', KEYS[1]) == 0 then return true end
  local told = redis.call('XINFO', 'STREAM', KEYS[1])
  for i = 1, #told, 2 do
    if told[i] == 'last-generated-id' then return told[i + 1] == '0-0' end
  end
end

-- A price, and a time that is the signal's own: one in the future would silence its side.
local function fits(close_time_ms, price, id)
  local number = tonumber(price or nil) or 0
  return close_time_ms and close_time_ms == string.match(id or '', ':(%d+)$')
         and number > 0 and number < math.huge
end

-- The last signal of the same market and side: time, price, signal ID, indicators entry. Where
-- the hash was lost, the stream still knows it.
local function last_signal()
  local kept = redis.call('HMGET', KEYS[2], 'close_time_ms', 'price', 'id', 'entry')
  if fits(kept[1], kept[2], kept[3])
     and kept[1] == string.match(kept[4] or '', '^(%d+)-%d+$') then
    return kept
  end
  local market, side = string.match(ARGV[9], '^(.-):.-:(%u+):')
  for _, found in ipairs(redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 100)) do
    local signal = {}
    for i = 1, #found[2], 2 do signal[found[2][i]] = found[2][i + 1] end
    local found_market, found_side = string.match(signal.id or '', '^(.-):.-:(%u+):')
    if found_market == market and found_side == side
       and fits(signal.close_time_ms, signal.entry, signal.id) then
      return {signal.close_time_ms, signal.entry, signal.id, false}
    end
  end
  return {}
end

if signals_are_gone() then
  redis.call('DEL', KEYS[2], KEYS[3], KEYS[4])
  return {'lost', ''}
end
local stored = redis.call('MGET', KEYS[3])[1] -- nothing for another type
if not is_id(stored) then stored = false end
if before(stored, ARGV[2]) then return {'lost', stored or ''} end
if stored and not before(stored, ARGV[1]) then return {'duplicate', stored} end

local function done(status, what)
  redis.call('SET', KEYS[3], ARGV[1])
  return {status, what}
end

if not ARGV[3] then return done('advanced', ARGV[1]) end

local close_ms, price = tonumber(ARGV[3]), tonumber(ARGV[4])
local last = last_signal()
local last_ms, last_price = tonumber(last[1] or nil), tonumber(last[2] or nil)
if last_ms and last_price then
  -- Entries are judged in order, so this one was judged when the last signal was emitted.
  if last[3] == ARGV[9] or close_ms < last_ms or (last[4] and not before(last[4], ARGV[1])) then
    return done('duplicate', ARGV[1])
  end
  if close_ms - last_ms < tonumber(ARGV[5])
     and math.abs(price - last_price) / last_price * 100 < tonumber(ARGV[6]) then
    return done('suppressed', last[1] .. ',' .. last[2])
  end
end
local id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[8], '*',
                      unpack(cmsgpack.unpack(ARGV[10])))
redis.call('HSET', KEYS[2], 'close_time_ms', ARGV[3], 'price', ARGV[4], 'id', ARGV[9],
           'entry', ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[7])
return done('emitted', id)
