"""Made-up mirrors with sources, laid out as Spack does it, with the record of what they were filled for."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foundation.spack.source_needs import NEEDS_KEY, PackageNeeds, Source, SourceKind, SourceNeeds
from spackitor.policy.verdicts import DAY
from tests.unit.spackitor.mirrors import dag_hash


@dataclass(frozen=True)
class Package:
    """A made-up package. `contents` are those of its sources; names in `links` and `builds` are those of others."""

    name: str
    contents: Sequence[str]
    links: Sequence[str] = ()
    builds: Sequence[str] = ()
    age: float = 100.0
    is_external: bool = False
    obstacle: str = ""


def sha256(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def key_of(content: str) -> str:
    """Where Spack looks for a source first."""
    digest = sha256(content)
    return f"_source-cache/archive/{digest[:2]}/{digest}.tar.gz"


def needs_of(packages: Iterable[Package]) -> SourceNeeds:
    """The record of what packages need."""
    return SourceNeeds({dag_hash(one.name): _needs(one) for one in packages if not one.is_external})


def _needs(one: Package) -> PackageNeeds:
    sources = tuple(
        Source(
            SourceKind.PATCH if number else SourceKind.ARCHIVE,
            (f"https://example.org/{one.name}/{number}.tar.gz",),
            sha256(content),
            key_of(content),
            (f"{one.name}/{one.name}-1.0-{number}.tar.gz",),
            one.obstacle,
        )
        for number, content in enumerate(one.contents)
    )
    return PackageNeeds(dag_hash(one.name), "abc====", one.name, "1.0", "builtin", sources)


def lockfile(packages: Iterable[Package], roots: Sequence[str]) -> bytes:
    """The lockfile of an environment with these roots, and with all that they need."""
    every = {one.name: one for one in packages}
    names = list(roots)
    for name in names:
        names += [one for one in (*every[name].links, *every[name].builds) if one not in names]
    value = {
        "_meta": {"file-type": "spack-lockfile", "lockfile-version": 6, "specfile-version": 5},
        "roots": [{"hash": dag_hash(name), "spec": name} for name in roots],
        "concrete_specs": {dag_hash(name): _node(every[name]) for name in names},
    }
    return json.dumps(value).encode()


def _node(one: Package) -> dict[str, Any]:
    kinds: Mapping[str, Sequence[str]] = {"link": one.links, "build": one.builds}
    dependencies = [
        {"name": name, "hash": dag_hash(name), "parameters": {"deptypes": [kind], "virtuals": []}}
        for kind, names in kinds.items()
        for name in names
    ]
    external = {"external": {"path": "/usr", "module": None}} if one.is_external else {}
    return {"name": one.name, "version": "1.0", "hash": dag_hash(one.name), "dependencies": dependencies, **external}


def write_sources(root: Path, packages: Iterable[Package]) -> Path:
    """Fill a mirror for some packages."""
    every = tuple(packages)
    now = time.time()
    for one in every:
        for source in needs_of((one,)).packages[dag_hash(one.name)].sources if not one.is_external else ():
            path, link = root / source.path, root / source.links[0]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(next(content for content in one.contents if key_of(content) == source.path))
            os.utime(path, (now - one.age * DAY,) * 2)
            link.parent.mkdir(exist_ok=True)
            link.symlink_to(os.path.relpath(path, link.parent))
    needs = root / NEEDS_KEY
    needs.parent.mkdir(exist_ok=True)
    needs.write_bytes(needs_of(every).as_json())
    return root
