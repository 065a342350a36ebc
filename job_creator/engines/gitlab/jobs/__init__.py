"""Jobs of each kind."""
