-- Puts a staged snapshot in the place of the published one.
--
-- KEYS: head, snapshot, staged snapshot (one slot)
-- ARGV: the epoch of the staged snapshot, the statement that the caller saw in its place (empty for none)
-- Answers {word, head}:
--   RENEWED
--   MOVED     the head is of another epoch, or somebody else renewed the snapshot
--   UNSTAGED  the staged snapshot is gone
local head_key, snapshot, staged = KEYS[1], KEYS[2], KEYS[3]
local epoch, seen = ARGV[1], ARGV[2]

local head = redis.call('GET', head_key) or ''
if string.match(head, '^(%d+) ') ~= epoch then return {'MOVED', head} end
if (redis.call('HGET', snapshot, 'meta') or '') ~= seen then return {'MOVED', head} end
if redis.call('EXISTS', staged) == 0 then return {'UNSTAGED', head} end
redis.call('UNLINK', snapshot)
redis.call('RENAME', staged, snapshot)
redis.call('PERSIST', snapshot)
return {'RENEWED', head}
