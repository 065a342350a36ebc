"""What more than one command assumes of a GitLab server and its project, unless the site file says otherwise."""

from __future__ import annotations

from typing import Final

API_TOKEN_VARIABLE: Final = "GITLAB_API_TOKEN"
"""The CI variable with a token that may read the API."""
MAX_ARTIFACT_BYTES: Final = 5 * 1024 * 1024
"""Size of an artifacts archive from which a trigger may take its YAML (GitLab docs, "CI/CD YAML syntax reference")."""
