"""The janitor of Spack build caches: says what it would remove and why, removes it in an order that is always safe."""
