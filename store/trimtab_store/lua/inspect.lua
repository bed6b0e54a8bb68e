-- Says what is published for an environment, without the messages themselves.
--
-- KEYS: head, stream, snapshot, size (one slot)
-- Answers {head, id of the oldest entry, the revision before it, id of the newest entry, bytes, newest trimmed id,
--          statement of the snapshot, fields of the snapshot}; texts are empty where there is nothing
local head_key, stream, snapshot, size = KEYS[1], KEYS[2], KEYS[3], KEYS[4]

local oldest = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]
local newest = oldest and redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
return {
  redis.call('GET', head_key) or '',
  oldest and oldest[1] or '',
  -- The header is canonical JSON; inside its strings a quote is escaped, so this is the field itself.
  oldest and string.match(oldest[2][2], '"previous_revision":(%d+)') or '',
  newest and newest[1] or '',
  redis.call('HGET', size, 'bytes') or '',
  redis.call('HGET', size, 'trimmed') or '',
  redis.call('HGET', snapshot, 'meta') or '',
  redis.call('HLEN', snapshot),
}
