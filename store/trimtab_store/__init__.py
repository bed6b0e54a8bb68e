"""The writer's side of Trimtab: commit, validate, audit, publish, and the command line."""
