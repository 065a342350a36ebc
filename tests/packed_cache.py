"""Packages installed below a folder, and packed into build caches as Spack does it."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tests.unit.spackitor.mirrors import dag_hash

SYSTEM = "debian12"


@dataclass(frozen=True)
class Package:
    """An installed package, and those that it links."""

    name: str
    version: str
    links: tuple[Package, ...] = ()
    variant: str = ""
    """Tells packages of the same name and version apart."""
    root: Path = Path("/")
    system: str = SYSTEM

    @property
    def hash(self) -> str:
        """Its DAG hash."""
        return dag_hash("-".join((self.name, self.version, self.variant, *(one.hash for one in self.links))))

    @property
    def prefix(self) -> Path:
        """Where it is installed."""
        return self.root / f"{self.name}-{self.version}-{self.hash}"

    @property
    def dag(self) -> dict[str, Package]:
        """It and all that it links, by DAG hash."""
        found = {self.hash: self}
        for one in self.links:
            found |= one.dag
        return found

    def spec_file(self) -> dict[str, Any]:
        """What its spec file holds."""
        return {
            "spec": {"_meta": {"version": 5}, "nodes": [node_of(one) for one in self.dag.values()]},
            "buildcache_layout_version": 2,
        }

    def archive(self) -> bytes:
        """Its prefix, packed."""
        prefixes = {hash_: str(one.prefix) for hash_, one in self.dag.items()}
        metadata = json.dumps({"buildpath": str(self.root), "hash_to_prefix": prefixes}).encode()
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w:gz", compresslevel=1) as archive:
            archive.add(self.prefix, str(self.prefix).lstrip("/"))
            info = tarfile.TarInfo(f"{str(self.prefix).lstrip('/')}/.spack/binary_distribution")
            info.size = len(metadata)
            archive.addfile(info, io.BytesIO(metadata))
        return content.getvalue()


def node_of(package: Package) -> dict[str, Any]:
    """The node of a package in spec files."""
    dependencies = [
        {"name": one.name, "hash": one.hash, "parameters": {"deptypes": ["build", "link"], "virtuals": []}}
        for one in package.links
    ]
    return {
        "name": package.name,
        "version": package.version,
        "arch": {"platform": "linux", "platform_os": package.system, "target": "x86_64"},
        "namespace": "toy",
        "parameters": {"build_system": "generic"},
        "package_hash": "abc====",
        **({"dependencies": dependencies} if dependencies else {}),
        "annotations": {"original_specfile_version": 5},
        "hash": package.hash,
    }


def fill(folder: Path, packages: Iterable[Package], layout: Literal["v2", "v3"] = "v3") -> Path:
    """Push packages into a cache in a folder."""
    for package in packages:
        name = f"{package.name}-{package.version}-{package.hash}"
        archive = package.archive()
        value = package.spec_file()
        if layout == "v2":
            checksum = {"hash_algorithm": "sha256", "hash": hashlib.sha256(archive).hexdigest()}
            start = f"linux-{package.system}-x86_64"
            long = f"{start}-gcc-12.2.0-{name}"
            inner = f"{start}/gcc-12.2.0/{package.name}-{package.version}"
            put(folder / f"build_cache/{inner}/{long}.spack", archive)
            text = json.dumps({**value, "binary_cache_checksum": checksum})
            put(folder / f"build_cache/{long}.spec.json", text.encode())
            continue
        records = [
            blob(folder, archive, "application/vnd.spack.install.v2.tar+gzip"),
            blob(folder, gzip.compress(json.dumps(value).encode(), mtime=0), "application/vnd.spack.spec.v5+json"),
        ]
        manifest = json.dumps({"version": 3, "data": records}).encode()
        put(folder / f"v3/manifests/spec/{package.name}/{name}.spec.manifest.json", manifest)
    return folder


def blob(folder: Path, data: bytes, media_type: str) -> dict[str, Any]:
    """Put a blob; what a manifest says of it."""
    checksum = hashlib.sha256(data).hexdigest()
    put(folder / f"blobs/sha256/{checksum[:2]}/{checksum}", data)
    return {
        "contentLength": len(data),
        "mediaType": media_type,
        "compression": "gzip",
        "checksumAlgorithm": "sha256",
        "checksum": checksum,
    }


def put(path: Path, data: bytes) -> None:
    """Write a file in a folder that is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
