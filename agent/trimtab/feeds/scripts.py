"""Scripts that an agent runs inside Redis."""

from __future__ import annotations

from typing import Final

REPORT: Final = """
-- Stores one agent's report, dated by the server's clock: agents' clocks are not compared with each other.
-- KEYS: fleet · ARGV: agent, its report (`trimtab.model.reports.Report.encode`, undated: "at":0.0)
-- Answers the date that the report was given, in seconds.
local agent, report = ARGV[1], ARGV[2]
if #agent > 512 or #report > 65536 then return redis.error_reply('ERR this report is too long') end
-- The text is canonical JSON: a quote inside a string is escaped, so the first match is the field itself.
local from, to = string.find(report, '"at":0.0', 1, true)
if not from then return redis.error_reply('ERR this report is dated or malformed') end
local now = redis.call('TIME')
local at = string.format('%d.%06d', now[1], now[2])
redis.call('HSET', KEYS[1], agent, string.sub(report, 1, from - 1) .. '"at":' .. at .. string.sub(report, to + 1))
return at
"""
