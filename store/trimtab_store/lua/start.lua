-- Starts an environment anew from a signed snapshot that was staged beside it, or clears it.
--
-- KEYS: head, stream, snapshot, size, staged snapshot (one slot)
-- ARGV: the head that the caller saw (empty for none), the new head (empty to clear), channel
-- Answers {word, head as it was found}:
--   STARTED   head and snapshot are the new ones, the stream is empty
--   MOVED     the head is not the one that the caller saw: somebody else was first
--   UNSTAGED  the staged snapshot is gone
local head_key, stream, snapshot, size, staged = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local seen, new, channel = ARGV[1], ARGV[2], ARGV[3]

local head = redis.call('GET', head_key) or ''
if head ~= seen then return {'MOVED', head} end
if new ~= '' and redis.call('EXISTS', staged) == 0 then return {'UNSTAGED', head} end
redis.call('UNLINK', head_key, stream, snapshot, size)
if new ~= '' then
  redis.call('RENAME', staged, snapshot)
  redis.call('PERSIST', snapshot)
  redis.call('SET', head_key, new)
  redis.call('PUBLISH', channel, 'N' .. new)
end
return {'STARTED', head}
