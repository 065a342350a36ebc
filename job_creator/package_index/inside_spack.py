"""Which packages, virtuals and variants Spack's own repository has. Run by `spack python`:

    inside_spack.py OUTPUT

OUTPUT is the JSON that is written: `root`, the folder of the repository, and what
`foundation/spack/package_index.py` reads, without the commit. This runs in Spack v0.21 to v1.2, so nothing of this
project is imported here, and nothing of Spack before it is needed.
"""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

NAMESPACE = "builtin"
CHUNK = 100


def main(output: str) -> None:
    """Ask Spack about every package of its repository, on all processors."""
    repository = builtin()
    names = sorted(repository.all_package_names())
    # Forks share what Spack has loaded; each starts with the same.
    with multiprocessing.get_context("fork").Pool(os.cpu_count()) as pool:
        found = dict(pool.imap_unordered(described, names, chunksize=CHUNK))
    table: dict[str, int] = {}
    licenses: dict[str, int] = {}
    packages: dict[str, Any] = {}
    virtuals: set[str] = set()
    for name in names:
        provided, variants, stated = found[name]
        virtuals.update(provided)
        packages[name] = variants
        if variants is not None:
            indices = [table.setdefault(json.dumps(one), len(table)) for one in variants]
            packages[name] = [indices, [licenses.setdefault(one, len(licenses)) for one in stated]]
    value = {
        "root": repository.root,
        "spack": str(importlib.import_module("spack").spack_version),
        "virtuals": sorted(virtuals - packages.keys()),
        "variants": [json.loads(one) for one in table],
        "licenses": list(licenses),
        "packages": packages,
    }
    Path(output).write_text(json.dumps(value, separators=(",", ":")), encoding="utf-8")


def builtin() -> Any:
    """The repository that comes with Spack, or is configured as if it did."""
    path = importlib.import_module("spack.repo").PATH
    for repository in path.repos:
        if repository.namespace == NAMESPACE:
            return repository
    sys.exit(f"this Spack has no package repository {NAMESPACE!r}")


def described(name: str) -> tuple[str, tuple[list[str], list[Any] | None, list[str]]]:
    """A package with the virtuals that it provides, its variants and its licenses.

    The variants are `None` for a recipe that cannot be read.
    """
    try:
        recipe = builtin().get_pkg_class(name)
        return name, (provided_by(recipe), variants_of(recipe), licenses_of(recipe))
    except Exception:  # noqa: BLE001 - any fault of a recipe concerns that recipe only
        return name, ([], None, [])


def licenses_of(recipe: Any) -> list[str]:
    """The expressions of `license(...)`, over all conditions."""
    return sorted({str(one) for one in getattr(recipe, "licenses", {}).values()})


def provided_by(recipe: Any) -> list[str]:
    """The virtuals; in v0.21 they are the keys of the table, later its values."""
    found: set[str] = set()
    for key, value in getattr(recipe, "provided", {}).items():
        is_condition = getattr(key, "name", None) in (None, "", recipe.name)
        for one in value if is_condition else (key,):
            found.add(one.name)
    return sorted(found)


def variants_of(recipe: Any) -> list[Any]:
    """Each variant as `[name, allowed values, takes several]`; no list of values where they are not listed."""
    merged: dict[str, Any] = {}
    for name, variant in definitions(recipe.variants):
        values = allowed(variant)
        known = merged.setdefault(name, [name, [], False])
        known[1] = None if values is None or known[1] is None else sorted({*known[1], *values})
        known[2] = bool(known[2] or variant.multi)
    return [merged[name] for name in sorted(merged)]


def definitions(variants: Any) -> Iterable[tuple[str, Any]]:
    """All definitions of variants; up to v0.22 by name, later by condition."""
    for key, value in variants.items():
        if isinstance(value, dict):
            yield from value.items()
        else:
            yield key, value[0]


def allowed(variant: Any) -> list[str] | None:
    """The values as they are written in specs."""
    if variant.values is None or callable(variant.values):
        return None
    return [str(one).lower() if isinstance(one, bool) else str(one) for one in variant.values]


if __name__ == "__main__":
    main(sys.argv[1])
