"""What a mirror is needed for: sources and binaries of lockfiles, as Spack says."""
