"""Studies of what is in a build cache: what may replace what."""
