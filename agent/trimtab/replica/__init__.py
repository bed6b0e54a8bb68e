"""The replica: the sans-I/O core of an agent."""
