"""Sections of Spack's environments: which release line knows them, and what becomes of them in each place."""
