"""Specs of environments: where they stand, whether Spack reads them, and whether their names exist."""
