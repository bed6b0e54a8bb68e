"""The local HTTP interface, for processes in any language. Read only, and only from this machine."""
