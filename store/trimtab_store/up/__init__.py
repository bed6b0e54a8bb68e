"""`trimtab up`: real servers, a relay and three bots on one machine, to look at or to measure."""
