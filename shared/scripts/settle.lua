-- Record one accepted delivery, and acknowledge the signal once every recipient has it, in one step.
-- Repeating it after a lost reply changes nothing: the ledger entry is there, nothing is counted twice.
--
-- KEYS  signals stream, totals of the channel, ledger entry of this recipient, ledger entries of
--       the channel's other recipients, ...
-- ARGV  group, stream entry ID, ledger TTL ms, ledger text, signal ID, delivered at ms, ms since the
--       candle was received
-- Reply {status, acknowledged}: recorded | known; 1 when no recipient is missing, else 0
local status = 'known'
if redis.call('SET', KEYS[3], ARGV[4], 'NX', 'PX', ARGV[3]) then
  status = 'recorded'
  -- Only people read the totals: what is no count there begins anew, and stops nothing.
  if type(redis.pcall('HINCRBY', KEYS[2], 'delivered', 1)) == 'table' then
    redis.call('DEL', KEYS[2])
    redis.call('HINCRBY', KEYS[2], 'delivered', 1)
  end
  redis.call('HSET', KEYS[2], 'last_delivered', ARGV[5], 'last_delivered_at', ARGV[6],
             'last_delivery_ms', ARGV[7])
end
for i = 4, #KEYS do
  if redis.call('EXISTS', KEYS[i]) == 0 then return {status, 0} end
end
redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
return {status, 1}
