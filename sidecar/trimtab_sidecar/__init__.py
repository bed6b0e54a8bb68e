"""The process beside a bot, which shares one agent's snapshot through shared memory. It comes later: empty so far."""
