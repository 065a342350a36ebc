"""Spack environments: the template merged with a definition, and what became of it when it was concretized."""
