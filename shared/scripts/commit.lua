-- Write new indicators entries and the snapshot that they lead to, both or neither. Refused unless
-- the writer continues exactly where the stored state stands, so a second instance is harmless.
-- What people edited and is no position, or no owner that expires, counts as absent.
--
-- KEYS  indicators stream, state, owner, progress hash
-- ARGV  parameters, owner TTL ms, expected position ('' = none), new position, snapshot, maxlen,
--       lead ms (0 = no limit), last entry that was output before ('' = unknown), entries: msgpack of
--       {{ID, {field, value, ...}}, ...}
-- Reply {status, what}: ok <entries written> | duplicate <stored position> | conflict <other
--       parameters> | ahead <detector's position> | lost <last entry there is>: the stream does not
--       reach as far as it was written
local owner = redis.call('MGET', KEYS[3])[1] -- nothing for another type
if owner and owner ~= ARGV[1] and redis.call('PTTL', KEYS[3]) > 0 then
  return {'conflict', owner}
end

-- Redis refuses IDs of more digits.
local function position(reader)
  local text = redis.call('HGET', KEYS[4], reader) or ''
  local ms, seq = string.match(text, '^(%d+)-(%d+)$')
  return ms and #ms < 20 and #seq < 20 and text or ''
end

local stored = position('indicators')
if stored ~= ARGV[3] then return {'duplicate', stored} end

local function split(id)
  local ms, seq = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(ms) or 0, tonumber(seq) or 0
end

local last_ms, last_seq = -1, -1
local top = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
if top[1] then last_ms, last_seq = split(top[1][1]) end
if ARGV[8] ~= '' then
  local ms, seq = split(ARGV[8])
  if last_ms < ms or (last_ms == ms and last_seq < seq) then
    return {'lost', top[1] and top[1][1] or ''}
  end
end

local lead = tonumber(ARGV[7])
local reader = lead > 0 and position('detector') or ''
-- What is committed counts, not what would be: one batch of 1h history spans weeks. Only what is
-- in the stream can be trimmed, wherever the position may stand.
if reader ~= '' and math.min(split(stored), last_ms) - split(reader) > lead then
  return {'ahead', reader}
end

local written = 0
for _, entry in ipairs(cmsgpack.unpack(ARGV[9])) do
  local ms, seq = split(entry[1])
  -- Entries up to the last output were written before a rebuild: silence.
  if ms > last_ms or (ms == last_ms and seq > last_seq) then
    redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[6], entry[1], unpack(entry[2]))
    written = written + 1
  end
end
redis.call('SET', KEYS[2], ARGV[5])
redis.call('SET', KEYS[3], ARGV[1], 'PX', ARGV[2])
redis.call('HSET', KEYS[4], 'indicators', ARGV[4])
return {'ok', tostring(written)}
