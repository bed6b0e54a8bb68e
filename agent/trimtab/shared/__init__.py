"""The layout of shared memory: bytes in, values out. Both sides import it; docs/shared-memory.md is its text."""
