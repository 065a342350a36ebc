"""Whether Spack and GitLab would accept what was written, and whether all of it would take effect."""
