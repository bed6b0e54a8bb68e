"""Sources: what files and the variables of a process want the store to hold, planned, applied and followed."""
