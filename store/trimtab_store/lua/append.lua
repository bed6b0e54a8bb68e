-- Appends one change to an environment's stream, if it is the very next one, and announces it.
--
-- KEYS: head, stream, snapshot, size (one slot)
-- ARGV: epoch, revision, previous revision, previous hash, hash, message, channel, cap of the stream in bytes,
--       longest message that is announced inline
-- Answers {word, head as it was found}; the head is empty if there is none:
--   APPENDED  it is published now
--   ALREADY   the head is this very change
--   OLD       the head is beyond it
--   BEHIND    changes before it are missing (or the head is missing or unreadable): nothing is appended over a gap
--   FORK      the head is no ancestor of it: the same revision with another hash, or one that its line does not have
--   BROKEN    the stream does not end at the head
local head_key, stream, snapshot, size = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local epoch, revision, previous_revision, previous_hash, hash, message = unpack(ARGV, 1, 6)
local channel, cap, inline = ARGV[7], tonumber(ARGV[8]), tonumber(ARGV[9])

-- Whether one decimal text names a larger number than another: a Lua number holds only 53 bits.
local function above(one, other)
  if #one ~= #other then return #one > #other end
  return one > other
end

-- Whether the stream ends where the head says; an empty one does if the snapshot is the head's.
local function unbroken(e, r)
  local newest = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
  if newest then return newest[1] == e .. '-' .. r and redis.call('EXISTS', size) == 1 end
  local statement = redis.call('HGET', snapshot, 'meta') or ''
  return string.match(statement, '"epoch"%s*:%s*(%d+)') == e and string.match(statement, '"revision"%s*:%s*(%d+)') == r
end

-- Drops the oldest entries until the messages fit the cap; the newest entry stays in any case.
local function trim(bytes)
  while bytes > cap do
    local oldest = redis.call('XRANGE', stream, '-', '+', 'COUNT', 100)
    local kept, dropped
    for i = 1, #oldest - 1 do
      if bytes <= cap then break end
      bytes = bytes - #oldest[i][2][2]
      dropped, kept = oldest[i][1], oldest[i + 1][1]
    end
    if not kept then return end
    redis.call('XTRIM', stream, 'MINID', '=', kept)
    redis.call('HSET', size, 'bytes', string.format('%.0f', bytes), 'trimmed', dropped)
  end
end

local head = redis.call('GET', head_key) or ''
local e, r, h = string.match(head, '^(%d+) (%d+) (%x+)$')
local first = previous_revision == '0'
local fresh = first and (head == '' or (e and above(epoch, e)))
if not fresh then
  if not e or above(epoch, e) then return {'BEHIND', head} end
  if above(e, epoch) then return {'OLD', head} end
  if revision == r then return {hash == h and 'ALREADY' or 'FORK', head} end
  if above(r, revision) then return {'OLD', head} end
  if above(previous_revision, r) then return {'BEHIND', head} end
  if previous_revision ~= r or previous_hash ~= h then return {'FORK', head} end
  if not unbroken(e, r) then return {'BROKEN', head} end
else
  redis.call('UNLINK', stream, snapshot, size)
end

redis.call('XADD', stream, epoch .. '-' .. revision, 'm', message)
trim(redis.call('HINCRBY', size, 'bytes', #message))
local name = epoch .. ' ' .. revision .. ' ' .. hash
redis.call('SET', head_key, name)
redis.call('PUBLISH', channel, #message <= inline and 'M' .. message or 'N' .. name)
return {'APPENDED', head}
