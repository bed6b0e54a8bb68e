"""`trimtab up`: real servers, a relay, a sidecar and three bots on one machine, to look at or to measure."""
