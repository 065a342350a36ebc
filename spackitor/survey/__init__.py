"""Looking at a mirror: all that is in it, and whether it is whole."""
