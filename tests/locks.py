"""Lockfiles and environments for tests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from foundation.yaml_io import dump
from job_creator.environments.concrete import ConcreteEnvironment
from job_creator.environments.from_spack import FILE, write_from_spack

ENVIRONMENT: Mapping[str, Any] = {
    "specs": ["hdf5@1.14 +mpi", "zlib"],
    "config": {"install_tree": {"root": "/opt/software", "padded_length": 128}},
    "view": "/opt/view",
    "mirrors": {"buildcache-destination": {"url": "s3://cache-amd64"}},
    "ci": {"pipeline-gen": []},
}
ROOTS = (("zlib", "zlib", "1.3.1"), ("hdf5@1.14+mpi", "hdf5", "1.14.5"))
"""Text, package and version of the roots, in the order of no environment."""


def lockfile(roots: Sequence[tuple[str, str, str]] = ROOTS, commit: str = "c0ffee") -> bytes:
    """A lockfile of these roots, as a Spack of this commit writes it."""
    hashes = [hashlib.sha256(repr(root).encode()).hexdigest()[:32] for root in roots]
    value = {
        "_meta": {"file-type": "spack-lockfile", "lockfile-version": 6, "specfile-version": 5},
        "spack": {"version": "1.1.0", "type": "git", "commit": commit},
        "roots": [{"hash": own, "spec": text} for own, (text, _, _) in zip(hashes, roots, strict=True)],
        "concrete_specs": {
            own: {"name": name, "version": version, "hash": own}
            for own, (_, name, version) in zip(hashes, roots, strict=True)
        },
    }
    return json.dumps(value).encode()


def concrete(environment: Mapping[str, Any] = ENVIRONMENT, lock: bytes | None = None) -> ConcreteEnvironment:
    """An environment as a population job leaves it, read back."""
    manifest = dump({"spack": dict(environment)}).encode()
    lock = lockfile() if lock is None else lock
    return ConcreteEnvironment.read(lock, manifest, "jobs_scratch_dir.amd64/hdf5", from_spack(lock))


def from_spack(lock: bytes) -> bytes:
    """What Spack says of such a lockfile: the last of its roots was asked for first."""
    return write_from_spack((root["spec"], root["hash"]) for root in reversed(json.loads(lock).get("roots", [])))


def write_environment(folder: Path, environment: Mapping[str, Any] = ENVIRONMENT, lock: bytes | None = None) -> None:
    """The files of such an environment below the folder of its container."""
    below = folder / "concrete_environment"
    below.mkdir(parents=True)
    lock = lockfile() if lock is None else lock
    (below / "spack.lock").write_bytes(lock)
    (below / FILE).write_bytes(from_spack(lock))
    (below / "spack.yaml").write_text(dump({"spack": dict(environment)}))
