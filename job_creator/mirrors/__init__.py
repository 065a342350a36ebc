"""Mirrors of sources and binaries: what an environment needs, filling, verifying, carrying and trusting."""
