#!lua name=hotslot_journal_v1
-- What the journal does inside a Redis server: every step that must not be divided. Loaded as one library of functions.
-- Must not know: what a record means, who waits for it.
--
-- A shard is one hash (header fields i, e, r, g, w of one letter; heads under the 20 bytes of their day), one stream (the order of
-- its records by epoch and position), one sorted set (open work), one hash of snapshots and one list a day (its log). All keys
-- of a shard have one hash tag. A call names every key that it touches, so that a cluster refuses it whole while the slot moves.
--
-- An entry of a log is sequence (8 bytes, big-endian), epoch (4), link (16), position (8), body. The first 28 bytes are a head.
-- A day's field is its head, then the instant of its next work in decimal digits, or nothing.
-- An entry of the order is day (20), sequence of the first record (8), number of records (4); its id is the last one's cursor.

local HEAD, ENTRY = 28, 36
-- The head of a day that was never written. Written out: a library has no `string` while it is loaded.
local NEVER = '\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0'
local CHUNK = 1000

local function sequence(head) return (struct.unpack('>I8', head)) end
local function epoch_of(head) return (struct.unpack('>I4', head, 9)) end
local function position_of(entry) return (struct.unpack('>I8', entry, 29)) end
local function digits(number) return string.format('%.0f', number) end

-- The history that this server's data belongs to: new at each restart and promotion. Nothing on a replica.
local function reign()
  local info = redis.call('INFO', 'replication')
  return string.find(info, 'role:master', 1, true) and string.match(info, 'master_replid:(%x+)')
end

-- Why a call of an owner is refused, or nothing. `args` begins with installation, epoch, reign.
local function fence(shard, args)
  local header = redis.call('HMGET', shard, 'i', 'e', 'r', 'g')
  if not header[2] then return {'missing'} end
  if header[1] ~= args[1] then return {'installation'} end
  if header[2] ~= args[2] then return {'epoch', header[2]} end
  if header[3] ~= args[3] or reign() ~= args[3] then return {'reign'} end
  return nil, header[4]
end

local function set_work(work, day, before, after)
  if before == after then return end
  if after == '' then redis.call('ZREM', work, day) else redis.call('ZADD', work, after, day) end
end

-- The entry of a log whose head is `mine`, if the log, which ends at `head`, has it.
local function stored(log, head, mine)
  local behind = sequence(head) - sequence(mine)
  if behind < 0 then return nil end
  local entry = redis.call('LINDEX', log, -1 - behind)
  if entry and string.sub(entry, 1, HEAD) == mine then return entry end
end

local function push(log, args, first, last)
  for from = first, last, CHUNK do
    redis.call('RPUSH', log, unpack(args, from, math.min(last, from + CHUNK - 1)))
  end
end

-- Keys: shard. Arguments: installation, epoch. Takes the shard over and makes its header if there is none. Tells the reign, and under
-- which one the shard was last known to be whole.
local function install(keys, args)
  local header, now = redis.call('HMGET', keys[1], 'i', 'e', 'w'), reign()
  if not now then return {'replica'} end
  if header[2] and header[1] ~= args[1] then return {'installation'} end
  if header[2] and tonumber(header[2]) >= tonumber(args[2]) then return {'epoch', header[2]} end
  redis.call('HSET', keys[1], 'i', args[1], 'e', args[2], 'r', now, 'g', '0')
  return {'ok', now, header[3] or ''}
end

-- Keys: shard. Arguments: installation, epoch, reign. Whatever was forgotten before this reign is put back.
local function whole(keys, args)
  local refused = fence(keys[1], args)
  if refused then return refused end
  redis.call('HSET', keys[1], 'w', args[3])
  return {'ok'}
end

-- Keys: shard, order, work, log of each day. Arguments: installation, epoch, reign, generation, number of days; for each day its key,
-- expected head, next work, last position, number of records, entries. Each day is written whole or not at all.
local function append(keys, args)
  local refused, generation = fence(keys[1], args)
  if refused then return refused end
  if generation ~= args[4] then return {'generation', generation} end
  local reply, at = {'ok'}, 6
  for number = 1, tonumber(args[5]) do
    local day, expected, work, count = args[at], args[at + 1], args[at + 2], tonumber(args[at + 4])
    local first, last, log = at + 5, at + 4 + count, keys[3 + number]
    local known = redis.call('HGET', keys[1], day)
    local head, mine = known and string.sub(known, 1, HEAD) or NEVER, string.sub(args[last], 1, HEAD)
    if head == expected then
      push(log, args, first, last)
      local entry = day .. string.sub(args[first], 1, 8) .. struct.pack('>I4', count)
      redis.call('XADD', keys[2], args[2] .. '-' .. args[at + 3], 'd', entry)
      set_work(keys[3], day, known and string.sub(known, HEAD + 1) or '', work)
      redis.call('HSET', keys[1], day, mine .. work)
      reply[number + 1] = 'A'
    else
      local entry = stored(log, head, mine)
      if entry then
        -- Written once more, so that the WAIT behind this call waits for it.
        redis.call('HSET', keys[1], day, known)
        reply[number + 1] = 'P' .. digits(position_of(entry))
      else
        reply[number + 1] = 'C' .. head
      end
    end
    at = last + 1
  end
  return reply
end

-- Keys: shard, log of each day. Arguments: installation, epoch, reign, new generation; for each day its key and the head that an append in
-- doubt would have left. Tells of each at which position it stands, or nothing.
local function barrier(keys, args)
  local refused, generation = fence(keys[1], args)
  if refused then return refused end
  if tonumber(generation) >= tonumber(args[4]) then return {'generation', generation} end
  redis.call('HSET', keys[1], 'g', args[4])
  local reply = {'ok'}
  for number = 1, #keys - 1 do
    local known = redis.call('HGET', keys[1], args[3 + 2 * number])
    local entry = known and stored(keys[1 + number], string.sub(known, 1, HEAD), args[4 + 2 * number])
    reply[number + 1] = entry and digits(position_of(entry)) or ''
  end
  return reply
end

-- Keys: shard, log, snapshots. Argument: day. Epoch, reign of the header, reign now, head, snapshot, entries after the snapshot.
local function load(keys, args)
  local field = redis.call('HMGET', keys[1], 'e', 'r', args[1])
  local snapshot = redis.call('HGET', keys[3], args[1])
  local from = 0
  if field[3] and snapshot then
    local first = sequence(field[3]) - redis.call('LLEN', keys[2]) + 1
    from = math.max(0, sequence(snapshot) + 1 - first)
  end
  local entries = redis.call('LRANGE', keys[2], from, -1)
  return {field[1] or '', field[2] or '', reign() or '', field[3] or '', snapshot or '', entries}
end

-- Cuts the front of a log: what the snapshot has and the ledger has had for long enough.
local function cut_front(shard, log, day, snapshot)
  local field = redis.call('HMGET', shard, day, 't' .. day)
  if not (field[1] and field[2] and snapshot) then return 0 end
  local first = sequence(field[1]) - redis.call('LLEN', log) + 1
  local count = math.min(sequence(snapshot), tonumber(field[2])) - first + 1
  if count <= 0 then return 0 end
  redis.call('LTRIM', log, count, -1)
  return count
end

-- Keys: shard, log, snapshots. Arguments: installation, epoch, day, snapshot (head, checksum of 16 bytes, state). One that is
-- older than the stored one, or of an older owner, is ignored.
local function snapshot(keys, args)
  local header = redis.call('HMGET', keys[1], 'i', 'e')
  if header[1] ~= args[1] or header[2] ~= args[2] then return 'ignored' end
  local kept = redis.call('HGET', keys[3], args[3])
  if kept then
    local old, new = epoch_of(kept), epoch_of(args[4])
    if old > new or (old == new and sequence(kept) >= sequence(args[4])) then return 'ignored' end
  end
  redis.call('HSET', keys[3], args[3], args[4])
  cut_front(keys[1], keys[2], args[3], args[4])
  return 'ok'
end

-- Keys: shard, log. Arguments: sequences of the first and last wanted record, day. As many of them as the log still has.
local function slice(keys, args)
  local head = redis.call('HGET', keys[1], args[3])
  if not head then return {} end
  local first = sequence(head) - redis.call('LLEN', keys[2]) + 1
  local from, to = tonumber(args[1]) - first, tonumber(args[2]) - first
  if to < 0 then return {} end
  return redis.call('LRANGE', keys[2], math.max(0, from), to)
end

-- Keys: shard, order, snapshots, log of each day. Arguments: installation, epoch, first id of the order that stays; for each
-- day its key and the sequence up to which its records may go. Returns how many records have gone from the logs.
local function trim(keys, args)
  local header = redis.call('HMGET', keys[1], 'i', 'e')
  if header[1] ~= args[1] or header[2] ~= args[2] then return 0 end
  local gone = 0
  for number = 1, #keys - 3 do
    local day, free = args[2 + 2 * number], args[3 + 2 * number]
    local before = redis.call('HGET', keys[1], 't' .. day)
    if not before or tonumber(before) < tonumber(free) then redis.call('HSET', keys[1], 't' .. day, free) end
    gone = gone + cut_front(keys[1], keys[3 + number], day, redis.call('HGET', keys[3], day))
  end
  redis.call('XTRIM', keys[2], 'MINID', args[3])
  return gone
end

-- Brings the order of a shard up to date when records are put back among later ones, or others have gone.
local function reorder(order, day, keep, dropped, added)
  local last = redis.call('XREVRANGE', order, '+', '-', 'COUNT', 1)[1]
  local epoch, position = string.match(last and last[1] or '0-0', '(%d+)-(%d+)')
  epoch, position = tonumber(epoch), tonumber(position)
  local next = added[1]
  if dropped == 0 and (not next or next[1] > epoch or (next[1] == epoch and next[2] > position)) then
    for _, item in ipairs(added) do
      redis.call('XADD', order, digits(item[1]) .. '-' .. digits(item[2]), 'd', item[3])
    end
    return
  end
  local all = {}
  for _, item in ipairs(redis.call('XRANGE', order, '-', '+')) do
    local entry, epoch, position = item[2][2], string.match(item[1], '(%d+)-(%d+)')
    local first, count = struct.unpack('>I8I4', entry, 21)
    local over = string.sub(entry, 1, 20) == day and math.max(0, first + count - 1 - keep) or 0
    if over < count then
      local left = string.sub(entry, 1, HEAD) .. struct.pack('>I4', count - over)
      all[#all + 1] = {tonumber(epoch), tonumber(position) - over, left}
    end
  end
  for _, item in ipairs(added) do all[#all + 1] = item end
  table.sort(all, function(a, b) return a[1] < b[1] or (a[1] == b[1] and a[2] < b[2]) end)
  redis.call('DEL', order)
  for _, item in ipairs(all) do
    redis.call('XADD', order, digits(item[1]) .. '-' .. digits(item[2]), 'd', item[3])
  end
end

-- Keys: shard, order, work, snapshots, log. Arguments: installation, epoch, reign, day, head up to which the log stays, next
-- work, entries. What the log has after that head goes; then the entries follow as they once were.
local function restore(keys, args)
  local refused = fence(keys[1], args)
  if refused then return refused end
  local day, base, work = args[4], args[5], args[6]
  local keep, known = sequence(base), redis.call('HGET', keys[1], args[4])
  local kept = redis.call('HGET', keys[4], day)
  local dropped = known and math.max(0, sequence(known) - keep) or 0
  local length = redis.call('LLEN', keys[5])
  local last = redis.call('LINDEX', keys[5], -1 - dropped)
  local stays = (last and string.sub(last, 1, HEAD)) or (kept and sequence(kept) == keep and string.sub(kept, 1, HEAD)) or NEVER
  if stays ~= base then return {'conflict', stays} end
  if dropped >= length then redis.call('DEL', keys[5]) elseif dropped > 0 then redis.call('LTRIM', keys[5], 0, -1 - dropped) end
  if kept and string.sub(kept, 1, HEAD) ~= base and sequence(kept) >= keep then redis.call('HDEL', keys[4], day) end
  local added, head = {}, base
  for at = 7, #args do
    redis.call('RPUSH', keys[5], args[at])
    head = string.sub(args[at], 1, HEAD)
    added[#added + 1] = {epoch_of(head), position_of(args[at]), day .. string.sub(head, 1, 8) .. struct.pack('>I4', 1)}
  end
  reorder(keys[2], day, keep, dropped, added)
  set_work(keys[3], day, known and string.sub(known, HEAD + 1) or '', work)
  redis.call('HSET', keys[1], day, head .. work)
  return {'ok'}
end

redis.register_function('hotslot_install_v1', install)
redis.register_function('hotslot_whole_v1', whole)
redis.register_function('hotslot_append_v1', append)
redis.register_function('hotslot_barrier_v1', barrier)
redis.register_function{function_name='hotslot_load_v1', callback=load, flags={'no-writes'}}
redis.register_function('hotslot_snapshot_v1', snapshot)
redis.register_function{function_name='hotslot_slice_v1', callback=slice, flags={'no-writes'}}
redis.register_function('hotslot_trim_v1', trim)
redis.register_function('hotslot_restore_v1', restore)
