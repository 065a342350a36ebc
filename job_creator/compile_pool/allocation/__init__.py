"""Allocations of Slurm and Flux for a compile pool: a file of settings, and the script that is made of it."""
