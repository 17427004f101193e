-- Remove a consumer of a group, only if it holds nothing and has not been heard of: XGROUP
-- DELCONSUMER would forget what it holds. Repeating it changes nothing.
--
-- KEYS  stream
-- ARGV  group, consumer, ms for which it must not have been heard of
-- Reply removed | kept
local consumers = redis.pcall('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])
if consumers['err'] then return 'kept' end -- no such stream or group

for _, flat in ipairs(consumers) do
  local consumer = {}
  for i = 1, #flat, 2 do consumer[flat[i]] = flat[i + 1] end
  if consumer['name'] == ARGV[2] then
    local held = redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1, ARGV[2])
    if consumer['pending'] > 0 or #held > 0 or consumer['idle'] < tonumber(ARGV[3]) then
      return 'kept'
    end
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
    return 'removed'
  end
end
return 'kept'
