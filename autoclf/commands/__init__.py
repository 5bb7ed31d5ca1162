"""Commands: each parses, calls, prints; there is nothing to test in them but that."""
