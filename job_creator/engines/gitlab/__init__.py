"""GitLab as an engine. Nothing outside of this folder and `pipelines/` knows a GitLab keyword."""
