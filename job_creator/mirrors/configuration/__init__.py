"""How a Spack uses a mirror."""
