-- How many bytes of memory a journal takes in Redis: a stand-in in the form of a head, a log and an index for each day,
-- keys tagged by shard, with records as long as an embedded journal's (116 bytes of body, 24 of head).
-- A real journal is weighed by the same commands; see deploy/CAPACITY.md.
--
--   redis-cli --eval deploy/capacity/redis-journal.lua , DAYS RECORDS      (an empty server that nobody needs)
--
-- Answers the growth of used_memory in bytes a day.
local days, records = tonumber(ARGV[1]), tonumber(ARGV[2])
local function used()
  return tonumber(string.match(redis.call('INFO', 'memory'), 'used_memory:(%d+)'))
end
local before = used()
local body = string.rep('x', 140 - 32)
for day = 1, days do
  local tag = '{' .. (day % 1024) .. '}'
  local name = redis.sha1hex('day' .. day):sub(1, 20)
  for record = 1, records do
    redis.call('RPUSH', 'hotslot:' .. tag .. ':log:' .. name, redis.sha1hex(day .. ':' .. record):sub(1, 32) .. body)
  end
  redis.call('HSET', 'hotslot:' .. tag .. ':heads', name, redis.sha1hex(name))
  redis.call('ZADD', 'hotslot:' .. tag .. ':open-work', day, name)
end
return math.floor((used() - before) / days)
