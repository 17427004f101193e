-- Tell of something that has no end, unless it was told a short while ago.
--
-- KEYS  events stream, key that stands while it is not told again
-- ARGV  ms for which it is not told again, maxlen, texts of the event (field, value, ...)
-- Reply {status, what}: told <stream ID> | known <ms left>
if not redis.call('SET', KEYS[2], '1', 'NX', 'PX', ARGV[1]) then
  return {'known', tostring(redis.call('PTTL', KEYS[2]))}
end
return {'told', redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', unpack(ARGV, 3))}
