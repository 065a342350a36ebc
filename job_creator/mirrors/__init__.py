"""Mirrors of sources and binaries: what is needed, what is there, what a bundle holds. Pure."""
