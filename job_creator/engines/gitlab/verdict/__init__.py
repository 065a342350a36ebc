"""Whether GitLab would accept a pipeline: its rules for YAML, keywords, and how jobs refer to each other."""
