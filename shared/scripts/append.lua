-- Append closed candles to a klines stream, each only if it is the next one (contiguous by
-- construction, whoever else writes). A reader that fell far behind stops the writer instead of
-- losing what trimming would take: the exchange's history is the buffer. What people edited and is
-- no position or count is passed over: an entry between two boundaries is none of ours.
--
-- KEYS  klines stream, progress hash, totals hash
-- ARGV  interval ms, maxlen, lead ms (0 = no limit), timeframe, 1 if they may begin a stream that is
--       empty (only the history may, or a stream that was lost would begin anywhere), candles:
--       msgpack of
--       {{boundary ms as text, {field, value, ...}}, ...}, packed since one argument per text
--       would cost the client more than everything else it does
-- Reply {status, appended, duplicates, last boundary}; status: ok | gap | ahead
local interval, maxlen, lead = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])

local slowest = nil
if lead > 0 then
  for _, position in ipairs(redis.call('HMGET', KEYS[2], 'indicators', 'detector')) do
    local at = tonumber(string.match(position or '', '^(%d+)-%d+$') or nil)
    if at and (slowest == nil or at < slowest) then slowest = at end
  end
end

local last = nil
local top = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
if top[1] then
  last = tonumber(string.match(top[1][1], '^(%d+)'))
  last = last - last % interval
end

-- Only people read the totals: what is no count there begins anew, and stops nothing.
local function count(name, by)
  if by > 0 and type(redis.pcall('HINCRBY', KEYS[3], name, by)) == 'table' then
    redis.call('DEL', KEYS[3])
    redis.call('HINCRBY', KEYS[3], name, by)
  end
end

local appended, missing, duplicates, status = 0, 0, 0, 'ok'
for _, candle in ipairs(cmsgpack.unpack(ARGV[6])) do
  local boundary = tonumber(candle[1])
  if last and boundary <= last then
    duplicates = duplicates + 1
  elseif last and boundary ~= last + interval or not last and ARGV[5] ~= '1' then
    status = 'gap'
    break
  elseif last and slowest and last - slowest > lead then
    status = 'ahead'
    break
  else
    redis.call('XADD', KEYS[1], 'MAXLEN', '~', maxlen, candle[1] .. '-0', unpack(candle[2]))
    last, appended = boundary, appended + 1
    if candle[2][1] == 'missing' then missing = missing + 1 end
  end
end
count(ARGV[4], appended - missing)
count(ARGV[4] .. ' missing', missing)
return {status, appended, duplicates, last and string.format('%.0f', last) or ''}
