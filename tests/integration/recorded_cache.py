"""The recorded build cache of layout v3: as a lockfile, and put into a registry as Spack would put it there."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import requests

from foundation.spack.layout_v3 import ARCHIVE_TYPE, INDEX, SPEC_MANIFEST, SPEC_TYPE, SpecManifest, read_manifest
from foundation.spack.specs import read_signed_json
from foundation.stores.store import Content
from tests.integration.registry_server import OCI_MANIFEST, Registry, digest_of
from tests.unit.spackitor.mirrors import RECORDED

CACHE = RECORDED / "layout-v3"
ROOT = "app-x"
"""It links or runs all that is in its lockfile."""


def manifest(key: str) -> SpecManifest:
    """A manifest of the recorded cache."""
    return read_manifest(Content((CACHE / key).read_bytes(), ""), key)


def content(of: SpecManifest, media_type: str) -> bytes:
    """The content of the blob of this type."""
    blob = of.blob(media_type)
    assert blob
    return (CACHE / blob.key).read_bytes()


@cache
def specs() -> Mapping[str, tuple[dict[str, Any], bytes]]:
    """The spec file and the archive of each spec by its tag, `<name>-<version>-<hash>.spack`."""
    found = {}
    for path in CACHE.glob("v3/manifests/spec/*/*"):
        key = path.relative_to(CACHE).as_posix()
        assert SPEC_MANIFEST.fullmatch(key)
        one = manifest(key)
        tag = path.name.replace(".spec.manifest.json", ".spack")
        found[tag] = json.loads(gzip.decompress(content(one, SPEC_TYPE))), content(one, ARCHIVE_TYPE)
    return found


def nodes() -> dict[str, dict[str, Any]]:
    """What the root links or runs, and the root, by DAG hash."""
    (file,) = (file for tag, (file, _) in specs().items() if tag.startswith(f"{ROOT}-"))
    return {node["hash"]: node for node in file["spec"]["nodes"]}


def lockfile() -> bytes:
    """A lockfile of the root."""
    (root,) = (hash_ for hash_, node in nodes().items() if node["name"] == ROOT)
    value = {
        "_meta": {"file-type": "spack-lockfile", "lockfile-version": 6, "specfile-version": 5},
        "spack": {"version": "1.1.0", "type": "git", "commit": "c" * 40},
        "roots": [{"hash": root, "spec": ROOT}],
        "concrete_specs": nodes(),
    }
    return json.dumps(value).encode()


OLDER = RECORDED / "layout-v2"


def older_lockfile() -> bytes:
    """A lockfile of the newest root in the recorded cache of layout v2."""
    (path,) = OLDER.glob(f"build_cache/*-{ROOT}-1.1-*.spec.json.sig")
    found = read_signed_json(path.read_bytes(), path.name)["spec"]["nodes"]
    value = {
        "_meta": {"file-type": "spack-lockfile", "lockfile-version": 5, "specfile-version": 4},
        "spack": {"version": "0.23.1", "type": "git", "commit": "c" * 40},
        "roots": [{"hash": found[0]["hash"], "spec": ROOT}],
        "concrete_specs": {node["hash"]: node for node in found},
    }
    return json.dumps(value).encode()


class RegistryCache:
    """The recorded cache in a repository of a registry that is open to all."""

    def __init__(self, registry: Registry, repository: str) -> None:
        self._api = f"{registry.base_url}/v2/{repository}"
        self._session = requests.Session()
        self._session.verify = str(registry.certificate) if registry.certificate else True
        self.url = f"{'oci' if registry.certificate else 'oci+http'}://{registry.host}/{repository}"

    def close(self) -> None:
        """End all connections."""
        self._session.close()

    def put_all(self, pushed: str = "") -> None:
        """All specs, and the index; as if they had been pushed at this time (ISO 8601)."""
        for tag in specs():
            self.put_spec(tag, pushed=pushed)
        self.put("index.spack", b"{}", content(manifest(INDEX), "application/vnd.spack.db."))

    def put_spec(self, tag: str, of: str = "", *, pushed: str = "") -> None:
        """A spec; under its tag, another one may be put."""
        file, archive = specs()[of or tag]
        checksum = {"hash_algorithm": "sha256", "hash": hashlib.sha256(archive).hexdigest()}
        said = {"binary_cache_checksum": checksum, **({"archive_timestamp": pushed} if pushed else {})}
        self.put(tag, json.dumps({**file, "architecture": "amd64", **said}).encode(), archive)

    def put(self, tag: str, config: bytes, *layers: bytes) -> None:
        """An image."""
        value = {
            "mediaType": OCI_MANIFEST,
            "schemaVersion": 2,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **self._blob(config)},
            "layers": [
                {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", **self._blob(layer)} for layer in layers
            ],
        }
        self._send("PUT", f"manifests/{tag}", json.dumps(value).encode(), {"Content-Type": OCI_MANIFEST})

    def delete(self, tag: str) -> None:
        """Remove a tag with its manifest."""
        digest = self._send("GET", f"manifests/{tag}", headers={"Accept": OCI_MANIFEST}).headers[
            "Docker-Content-Digest"
        ]
        self._send("DELETE", f"manifests/{digest}")

    def _blob(self, data: bytes) -> dict[str, Any]:
        digest = digest_of(data)
        place = self._send("POST", "blobs/uploads/").headers["Location"]
        self._send("PUT", f"{place}&digest={digest}", data, {"Content-Type": "application/octet-stream"})
        return {"digest": digest, "size": len(data)}

    def _send(
        self, method: str, what: str, data: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> requests.Response:
        url = what if what.startswith("http") else f"{self._api}/{what}"
        answer = self._session.request(method, url, data=data, headers=headers, timeout=20)
        answer.raise_for_status()
        return answer
