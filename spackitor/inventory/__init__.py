"""What is in a mirror."""
