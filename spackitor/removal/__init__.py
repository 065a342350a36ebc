"""Carrying a plan out, so that it can be stopped at any moment and taken back."""
