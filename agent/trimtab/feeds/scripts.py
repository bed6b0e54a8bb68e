"""The one script that an agent runs in Redis."""

from __future__ import annotations

from typing import Final

REPORT: Final = """
-- Keeps the report of one agent, with the time of this server.
--
-- KEYS: fleet
-- ARGV: agent, its report: a JSON object that is not empty and has no "at"
local now = redis.call('TIME')
local at = string.format('{"at":%s.%06d,', now[1], tonumber(now[2]))
redis.call('HSET', KEYS[1], ARGV[1], at .. string.sub(ARGV[2], 2))
return 1
"""
