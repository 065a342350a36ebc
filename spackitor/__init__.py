"""The janitor of Spack build caches. Its commands arrive with their own issue; nothing is offered yet."""
