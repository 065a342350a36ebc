"""Filling a build cache from a workstation or a cluster: what is to be built, and what became of each package."""
