"""The formats and releases of Spack. Nothing else knows them."""
