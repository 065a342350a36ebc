"""Whether two builds made the same image."""

from __future__ import annotations

import json
from typing import Any

from tests.integration.registry_server import Registry, read_blob, read_manifest


def content(registry: Registry, repository: str, reference: str) -> dict[str, Any]:
    """All that the digest of an image is made of, but for what tells one container of a build from another.

    In Docker's format buildah before 1.41 writes that down whatever time it is given.
    """
    manifest = read_manifest(registry, repository, reference)
    found = json.loads(read_blob(registry, repository, manifest["config"]["digest"]))
    for name in ("container", "container_config", "parent"):
        found.pop(name, None)
    found["config"].pop("Hostname", None)
    return {"config": found, "layers": manifest["layers"]}
