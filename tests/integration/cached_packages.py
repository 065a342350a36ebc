"""Packages in a build cache of layout v3, signed as Spack does it, of which nothing was ever built."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from foundation.openpgp.ring import ring_folder
from foundation.spack.layout_v3 import MANIFESTS
from tests.integration.components import require
from tests.integration.signing_keys import KeyPair


def cached_package(node: Mapping[str, Any], pair: KeyPair) -> dict[str, bytes]:
    """The objects of a package in a cache, by their keys."""
    spec = {"spec": {"_meta": {"version": 5}, "nodes": [dict(node)]}, "buildcache_layout_version": 3}
    contents = {
        "application/vnd.spack.install.v2.tar+gzip": gzip.compress(f"archive of {node['name']}".encode(), mtime=0),
        "application/vnd.spack.spec.v5+json": gzip.compress(json.dumps(spec).encode(), mtime=0),
    }
    records, found = [], {}
    for media_type, data in contents.items():
        checksum = hashlib.sha256(data).hexdigest()
        found[f"blobs/sha256/{checksum[:2]}/{checksum}"] = data
        records.append(
            {
                "contentLength": len(data),
                "mediaType": media_type,
                "compression": "gzip",
                "checksumAlgorithm": "sha256",
                "checksum": checksum,
            }
        )
    text = json.dumps({"version": 3, "data": records}, indent=0, separators=(",", ":"))
    name = f"{node['name']}-{node['version']}-{node['hash']}.spec.manifest.json"
    return {**found, f"{MANIFESTS}spec/{node['name']}/{name}": _clear_signed(text, pair)}


def _clear_signed(text: str, pair: KeyPair) -> bytes:
    with tempfile.TemporaryDirectory(prefix="gpg") as folder, ring_folder(Path(folder) / "ring"):
        environment = {**os.environ, "GNUPGHOME": f"{folder}/ring"}

        def run(*arguments: str, given: bytes) -> bytes:
            command = [require("gpg"), "--batch", "--pinentry-mode", "loopback", "--passphrase", "", *arguments]
            return subprocess.run(command, env=environment, input=given, capture_output=True, check=True).stdout

        run("--import", given=pair.private)
        return run("--clearsign", given=text.encode())
