"""Mirrors of sources and binaries: what packages need, what a mirror has, what a bundle holds. Pure."""
