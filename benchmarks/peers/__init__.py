"""What people would use instead, measured beside us in one run: `make bench-peers`."""
