"""Entries of a build cache without anything worth installing in them: what the stand-in for Spack pushes. Pure.

Layout v3; see `foundation/spack/layout_v3.py` for the formats.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from typing import Any, Final

from foundation.spack.layout_v3 import BLOBS, INDEX, INDEX_TYPE, INDEXES, MANIFESTS, SPEC_TYPE

SPEC_MANIFESTS: Final = f"{MANIFESTS}spec/"
_ARCHIVE_TYPE: Final = "application/vnd.spack.install.v2.tar+gzip"

Objects = list[tuple[str, bytes]]
"""Keys and contents in the order in which they have to be written."""


def entry(hash_: str, nodes: Mapping[str, Mapping[str, Any]]) -> Objects:
    """What a push of one spec writes: its blobs, then the manifest that leads to them."""
    node = nodes[hash_]
    archive = _archive(node)
    checksum = hashlib.sha256(archive).hexdigest()
    spec = {
        "spec": {"_meta": {"version": 5}, "nodes": [node, *(nodes[one] for one in sorted(_below(hash_, nodes)))]},
        "buildcache_layout_version": 2,
        "binary_cache_checksum": {"hash_algorithm": "sha256", "hash": checksum},
    }
    blobs = [(f"{_ARCHIVE_TYPE}", archive, "gzip"), (f"{SPEC_TYPE}v5+json", _gzip(json.dumps(spec).encode()), "gzip")]
    return [
        *(_blob(content) for _, content, _ in blobs),
        (manifest_key(node), _manifest([_record(*blob) for blob in blobs])),
    ]


def manifest_key(node: Mapping[str, Any]) -> str:
    """Where the manifest of a spec lies."""
    return f"{SPEC_MANIFESTS}{node['name']}/{node['name']}-{node['version']}-{node['hash']}.spec.manifest.json"


def index(nodes: Iterable[Mapping[str, Any]], view: str = "") -> Objects:
    """What an update of the index, or of a view of it, writes for specs that are in the cache."""
    installs = {
        str(node["hash"]): {"spec": node, "ref_count": 0, "in_buildcache": True}
        for node in sorted(nodes, key=lambda node: str(node["hash"]))
    }
    content = json.dumps({"database": {"version": "8", "installs": installs}}).encode()
    key = f"{INDEXES}{view}/{INDEX.removeprefix(INDEXES)}" if view else INDEX
    return [_blob(content), (key, _manifest([_record(f"{INDEX_TYPE}v8+json", content, "none")]))]


def _archive(node: Mapping[str, Any]) -> bytes:
    text = f"The stand-in for Spack built {node['name']}@{node['version']}.\n".encode()
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        entry_ = tarfile.TarInfo(f"opt/software/{node['name']}-{node['version']}-{node['hash']}/README")
        entry_.size = len(text)
        archive.addfile(entry_, io.BytesIO(text))
    return _gzip(stream.getvalue())


def _below(hash_: str, nodes: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """Everything that a spec depends on."""
    found: set[str] = set()
    pending = [hash_]
    while pending:
        for one in nodes[pending.pop()].get("dependencies", ()):
            if one["hash"] not in found:
                found.add(one["hash"])
                pending.append(one["hash"])
    return found


def unpacked(content: bytes) -> bytes:
    """The content of a blob."""
    return gzip.decompress(content)


def _gzip(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


def _blob(content: bytes) -> tuple[str, bytes]:
    checksum = hashlib.sha256(content).hexdigest()
    return f"{BLOBS}sha256/{checksum[:2]}/{checksum}", content


def _record(media_type: str, content: bytes, compression: str) -> dict[str, Any]:
    return {
        "contentLength": len(content),
        "mediaType": media_type,
        "compression": compression,
        "checksumAlgorithm": "sha256",
        "checksum": hashlib.sha256(content).hexdigest(),
    }


def _manifest(records: list[dict[str, Any]]) -> bytes:
    return json.dumps({"version": 3, "data": records}, indent=0, separators=(",", ":")).encode()
