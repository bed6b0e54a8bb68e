"""The local overrides of a node, for every bot that reads through its sidecar."""
