"""Trimtab's vocabulary: pure values and functions. No client library, no clock, no thread, no I/O."""
