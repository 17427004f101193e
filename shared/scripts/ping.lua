-- Whether all is well, and it is our turn to say so outside.
--
-- KEYS  services hash, troubles hash, key that stands until the next turn
-- ARGV  longest silence in ms, ms until the next turn, services that must answer and be ready, ...
-- Reply {status, why}: turn | later | ill <what is wrong>
for _, key in ipairs({KEYS[1], KEYS[2]}) do
  local kind = redis.call('TYPE', key)['ok']
  if kind ~= 'hash' and kind ~= 'none' then return {'ill', key .. ' is spoilt'} end
end
local clock = redis.call('TIME')
local now, longest = clock[1] * 1000 + math.floor(clock[2] / 1000), tonumber(ARGV[1])
local function is_old(field)
  local at = redis.call('HGET', KEYS[1], field) or ''
  return now - (tonumber(string.match(at, '^%d+$')) or 0) > longest
end
for i = 3, #ARGV do
  if is_old(ARGV[i]) then return {'ill', ARGV[i] .. ' does not answer'} end
  if is_old('ready:' .. ARGV[i]) then return {'ill', ARGV[i] .. ' is not ready'} end
end
local flat = redis.call('HGETALL', KEYS[2])
for i = 1, #flat, 2 do
  local state = string.match(flat[i + 1], '^(%l+) %d+$')
  if state == 'blind' or state == 'down' or state == 'broken' then
    return {'ill', flat[i] .. ' is ' .. state}
  end
end
if not redis.call('SET', KEYS[3], '1', 'NX', 'PX', ARGV[2]) then return {'later', ''} end
return {'turn', ''}
