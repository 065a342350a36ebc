"""What is in a mirror, as values: binaries and sources, what roots hold, what was removed and can be brought back."""
