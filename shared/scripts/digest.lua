-- Tell what was muted, and forget it, in one step: so it is told once, whoever does it and whenever
-- he dies. Nothing happens if the hash no longer holds just what the text tells.
--
-- KEYS  mute, hash of muted signals, events stream
-- ARGV  maxlen, signals beyond the lines ('' = none), number of fields that the text tells, these
--       fields, texts of the event (field, value, ...)
-- Reply {status, stream ID}: told | changed (look again) | muted (again)
if redis.call('MGET', KEYS[1])[1] then return {'muted', ''} end -- nothing for another type
local count = tonumber(ARGV[3])
local more = redis.call('HGET', KEYS[2], 'more') or ''
if redis.call('HLEN', KEYS[2]) ~= count or more ~= ARGV[2] then return {'changed', ''} end
for i = 4, 3 + count do
  if redis.call('HEXISTS', KEYS[2], ARGV[i]) == 0 then return {'changed', ''} end
end
redis.call('DEL', KEYS[2])
return {'told', redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[1], '*', unpack(ARGV, 4 + count))}
