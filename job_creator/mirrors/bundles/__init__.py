"""Mirrors carried in files: written on one side, verified and put in place on the other."""
