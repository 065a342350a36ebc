"""Servers of the tests' own, for outside systems that cannot be had on a laptop."""
