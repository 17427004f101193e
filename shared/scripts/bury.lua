-- Write one undelivered alert of one recipient off as a dead letter, and acknowledge the entry once
-- nobody is missing, in one step. Repeating it after a lost reply changes nothing.
--
-- KEYS  stream, totals of the channel, ledger entry of this recipient, stream of dead letters, ledger
--       entries of the channel's other recipients, ...
-- ARGV  group, stream entry ID, ledger TTL ms, ledger text, maxlen of the dead letters, texts of the
--       dead letter (field, value, ...)
-- Reply {status, acknowledged}: buried | known; 1 when no recipient is missing, else 0
local status = 'known'
if redis.call('SET', KEYS[3], ARGV[4], 'NX', 'PX', ARGV[3]) then
  status = 'buried'
  redis.call('XADD', KEYS[4], 'MAXLEN', '~', ARGV[5], '*', unpack(ARGV, 6))
  -- Only people read the totals: what is no count there begins anew, and stops nothing.
  if type(redis.pcall('HINCRBY', KEYS[2], 'dead', 1)) == 'table' then
    redis.call('DEL', KEYS[2])
    redis.call('HINCRBY', KEYS[2], 'dead', 1)
  end
end
for i = 5, #KEYS do
  if redis.call('EXISTS', KEYS[i]) == 0 then return {status, 0} end
end
redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
return {status, 1}
