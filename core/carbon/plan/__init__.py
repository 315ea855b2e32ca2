"""When to run and when to wait."""
