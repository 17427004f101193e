-- Answer the roll call, and see who of the other services has not answered for too long.
--
-- Silence counts only while somebody listens: after half of the longest silence without any answer
-- (Redis was away, the machine slept, all was stopped) everybody gets all of it anew.
--
-- KEYS  services hash (service, ready:service, anybody, listening_since -> ms of Redis's clock),
--       troubles hash
-- ARGV  service that answers, longest silence in ms, whether it can do its work (1, 0)
-- Reply {now ms, trouble that stands of this service ('' = none), service, ms of its last answer, ...}:
--       those that are silent for too long while no trouble of theirs stands
for _, key in ipairs(KEYS) do
  local kind = redis.call('TYPE', key)['ok']
  if kind ~= 'hash' and kind ~= 'none' then redis.call('DEL', key) end -- not ours
end
local clock = redis.call('TIME')
local now, longest = clock[1] * 1000 + math.floor(clock[2] / 1000), tonumber(ARGV[2])

local answered, flat = {}, redis.call('HGETALL', KEYS[1])
for i = 1, #flat, 2 do
  local is_mark = string.match(flat[i], '^ready:[%l_]+$')
  if is_mark or string.match(flat[i], '^[%l_]+$') then
    -- What somebody has spoilt counts as now, and so does what is later: the clock was set back.
    local at = tonumber(string.match(flat[i + 1], '^%d+$')) or now
    if not is_mark then answered[flat[i]] = math.min(at, now) end
    if at >= now then redis.call('HSET', KEYS[1], flat[i], string.format('%.0f', now)) end
  else
    redis.call('HDEL', KEYS[1], flat[i]) -- no service of ours
  end
end
local last, since = answered['anybody'], answered['listening_since']
if not last or not since or now - last > longest / 2 then since = now end
answered['anybody'], answered['listening_since'], answered[ARGV[1]] = nil, nil, nil

local shown = string.format('%.0f', now)
redis.call('HSET', KEYS[1], ARGV[1], shown, 'anybody', shown,
           'listening_since', string.format('%.0f', since))
if ARGV[3] == '1' then redis.call('HSET', KEYS[1], 'ready:' .. ARGV[1], shown) end

local reply = {shown, redis.call('HGET', KEYS[2], 'service:' .. ARGV[1]) or ''}
for service, at in pairs(answered) do
  if now - math.max(at, since) > longest then
    local stands = redis.call('HGET', KEYS[2], 'service:' .. service) or ''
    if not string.match(stands, '^%l+ %d+$') then
      reply[#reply + 1], reply[#reply + 2] = service, string.format('%.0f', at)
    end
  end
end
return reply
