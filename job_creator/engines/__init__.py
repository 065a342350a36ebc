"""Who runs the steps of a build."""
