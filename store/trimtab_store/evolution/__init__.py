"""Schema evolution: which version of its schema a document is written for, and the steps that bring it to a newer one.

A document without a stamp is written for the newest version of its schema. A change that raises the version of a schema
with upgrades stamps what the schema covers with the old version, in `meta.<path>.schema_version`; until it is upgraded
such a document only warns where it does not fit. Every environment upgrades its own items, so each has its own stamp.

A built-in type is raised by a release, which stamps nothing: there a document without a stamp is of version 1, and what
is written for a newer version is stamped when an environment begins to hold it.
"""
