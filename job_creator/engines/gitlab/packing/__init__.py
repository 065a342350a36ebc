"""Package jobs laid out as few pipelines that finish early."""
