"""Predictions as matrices: for other programs, as pictures, and as a page."""
