"""Filling mirrors of sources and binaries, verifying and carrying them, trusting their keys."""
