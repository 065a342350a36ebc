"""The real Spacks that somebody names."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

ROOTS = [root for root in os.environ.get("SPACKTAINERS_SPACK_ROOT", "").split(":") if root]


def recipes(mirror: Path, target: Path) -> Path:
    """The package repository of the recorded packages, out of their archives; Spack wants it even for cached ones."""
    for path in mirror.rglob("*"):
        if path.is_file() and path.read_bytes().startswith(b"\x1f\x8b") and tarfile.is_tarfile(path):
            with tarfile.open(path) as archive:
                for member in archive:
                    _, found, name = member.name.partition("/.spack/repos/")
                    file = archive.extractfile(member) if found and member.isfile() else None
                    if file:
                        (target / name).parent.mkdir(parents=True, exist_ok=True)
                        (target / name).write_bytes(file.read())
    return next(target.rglob("repo.yaml")).parent


def alone(folder: Path) -> dict[str, str]:
    """The variables with which a Spack reads nothing but its own configuration, and writes below `folder`."""
    return {
        "HOME": str(folder / "home"),
        "PATH": os.environ["PATH"],
        "SPACK_DISABLE_LOCAL_CONFIG": "1",
        "SPACK_USER_CACHE_PATH": str(folder / "cache"),
        **{name: os.environ[name] for name in ("SPACK_PYTHON",) if name in os.environ},
    }
