-- Write new indicators entries and the snapshot that they lead to, both or neither. Refused unless
-- the writer continues exactly where the stored state stands, so a second instance is harmless.
--
-- KEYS  indicators stream, state, owner, progress hash
-- ARGV  parameters, owner TTL ms, expected position ('' = none), new position, snapshot, maxlen,
--       lead ms (0 = no limit), last entry that was output before ('' = unknown), entries: msgpack of
--       {{ID, {field, value, ...}}, ...}
-- Reply {status, what}: ok <entries written> | duplicate <stored position> | conflict <other
--       parameters> | ahead <detector's position> | lost <last entry there is>: the stream does not
--       reach as far as it was written
local owner = redis.call('GET', KEYS[3])
if owner and owner ~= ARGV[1] then return {'conflict', owner} end

local stored = redis.call('HGET', KEYS[4], 'indicators') or ''
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
local reader = lead > 0 and redis.call('HGET', KEYS[4], 'detector')
-- What is committed counts, not what would be: one batch of 1h history spans weeks.
if reader and split(stored) - split(reader) > lead then return {'ahead', reader} end

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
