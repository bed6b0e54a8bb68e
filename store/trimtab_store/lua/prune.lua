-- Removes reports that are still what the caller saw.
--
-- KEYS: fleet
-- ARGV: agent, its report as seen, agent, report, …
-- Answers how many went.
local gone = 0
for i = 1, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then
    gone = gone + redis.call('HDEL', KEYS[1], ARGV[i])
  end
end
return gone
