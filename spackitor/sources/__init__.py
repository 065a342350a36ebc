"""The sources of a mirror."""
