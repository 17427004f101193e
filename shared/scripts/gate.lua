-- Close a channel's gate for some time, unless it is closed for longer; or see how long it is.
--
-- Its value says for how long it was asked, `paused (200 s): reason`: were the clock of Redis's
-- machine set back, it would else stand longer by as much. Then it is cut to what was asked.
--
-- KEYS  gate
-- ARGV  paused | broken | '' (only see), seconds, reason
-- Reply for how long it is closed (ms), or what PTTL says of a key that has no life
local stands = redis.call('MGET', KEYS[1])[1] or '' -- '' also of what is no string
local left = redis.call('PTTL', KEYS[1])
local seconds = string.match(stands, '^%l+ %((%d+%.?%d*) s%)') -- none of an older version's
local function ms(text) return math.floor(tonumber(text) * 1000 + 0.5) end

if seconds and left > ms(seconds) then
  left = ms(seconds)
  redis.call('PEXPIRE', KEYS[1], left)
end
if ARGV[1] == '' then return left end

local asked = ms(ARGV[2])
if stands == '' or left < asked then
  left, seconds = asked, ARGV[2]
elseif ARGV[1] == 'paused' then
  return left
end
seconds = seconds or string.format('%.3f', left / 1000)
redis.call('SET', KEYS[1], ARGV[1] .. ' (' .. seconds .. ' s): ' .. ARGV[3], 'PX', left)
return left
