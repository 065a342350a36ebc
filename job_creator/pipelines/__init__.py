"""What `jc create-jobs`, `process-spack-pipeline` and `generate-spacktainer-workflow` do."""
