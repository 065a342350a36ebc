"""Whether two builds made the same image."""

from __future__ import annotations

import io
import json
import re
import subprocess
import tarfile
from typing import Any

from tests.integration.components import require
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


def buildah_is_reproducible() -> bool:
    """Whether this buildah leaves its own containers out of the images that it makes, so that digests are the same."""
    said = subprocess.run([require("buildah"), "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"version (\d+)\.(\d+)", said)
    assert found, said
    return (int(found[1]), int(found[2])) >= (1, 41)


def modes_of(registry: Registry, repository: str, reference: str) -> dict[str, int]:
    """The permissions of all files in the layers of an image."""
    found: dict[str, int] = {}
    for layer in read_manifest(registry, repository, reference)["layers"]:
        data = io.BytesIO(read_blob(registry, repository, layer["digest"]))
        with tarfile.open(fileobj=data, mode="r:*") as archive:
            found |= {one.name.removeprefix("./"): one.mode & 0o7777 for one in archive if one.isfile()}
    return found
