"""Putting into a mirror what it lacks."""
