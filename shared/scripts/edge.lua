-- Tell that a trouble began or ended, once, however many processes see it.
--
-- KEYS  events stream, troubles hash
-- ARGV  subject, trouble that must stand now ('' = none), trouble from now on ('' = none), maxlen,
--       texts of the event (field, value, ...)
-- Reply {status, what}: told <stream ID> | known <trouble that stands>: somebody else has told, or
--       sees it otherwise
local stands = redis.call('HGET', KEYS[2], ARGV[1]) or ''
if not string.match(stands, '^%l+ %d+$') then stands = '' end -- somebody has spoilt it
if stands ~= ARGV[2] then return {'known', stands} end
if ARGV[3] == '' then
  redis.call('HDEL', KEYS[2], ARGV[1])
else
  redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])
end
return {'told', redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[4], '*', unpack(ARGV, 5))}
