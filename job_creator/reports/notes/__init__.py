"""Reports in a merge request: one note, updated in place."""
