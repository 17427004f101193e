-- Record a signal for the digest instead of sending it, while signals are muted; once, however many
-- channels and processes ask. What was recorded stays muted, also when it is asked for again later.
--
-- KEYS  mute, hash of muted signals, mark of this signal
-- ARGV  since when quiet hours are ('' = now is none), signal ID, line, now ms, ms for which the mark
--       stands
-- Reply muted | known (it was recorded before) | open (signals are sent)
if redis.call('EXISTS', KEYS[3]) == 1 then return 'known' end
local since = ARGV[1]
local mute = redis.call('MGET', KEYS[1])[1] -- nothing for another type
if mute then since = string.match(mute, '^(%d+) ') or (since ~= '' and since) or ARGV[4] end
if since == '' then return 'open' end
redis.call('SET', KEYS[3], ARGV[4], 'PX', ARGV[5])
if redis.call('TYPE', KEYS[2])['ok'] ~= 'hash' then redis.call('DEL', KEYS[2]) end -- not ours
redis.call('HSETNX', KEYS[2], 'from', since)
if redis.call('HLEN', KEYS[2]) < 1000 then
  redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
elseif type(redis.pcall('HINCRBY', KEYS[2], 'more', 1)) == 'table' then
  redis.call('HSET', KEYS[2], 'more', 1) -- somebody has spoilt it
end
return 'muted'
