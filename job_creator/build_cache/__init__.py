"""Spack's build caches: the formats of spec files, indexes and manifests. Nothing else knows them. Pure."""
