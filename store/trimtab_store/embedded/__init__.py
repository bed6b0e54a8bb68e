"""Real servers from wheels, started as ordinary child processes: no root needed, no docker, nothing daemonized."""
