"""The version of a container, and the tags and file names that are made of it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final

from foundation.registries.reference import ImageReference
from foundation.spack.lockfile import Lockfile
from job_creator.site.run import Context

MAX_TAG: Final = 128
"""Characters of a tag (OCI distribution specification, "Pulling manifests")."""
MAX_VERSION: Final = 40
"""Leaves room for a branch (GitLab cuts `CI_COMMIT_REF_SLUG` at 63), an architecture and separators."""
_NAME = re.compile(r"(?:[\w-]+\.)*([a-z0-9_][\w-]*)")
"""A package at the start of a spec, after its namespaces (lib/spack/spack/spec_parser.py)."""


def spack_version(lock: Lockfile, environment: Mapping[str, Any]) -> str:
    """The version of the package that the environment names first.

    A lockfile lists its roots in the order of the concretizer, so the first spec of the environment is looked for among
    them, by its text and then by its package; only where it is in neither, the first root counts.
    """
    wanted = first_spec(environment)
    found = [index for index, text in enumerate(lock.root_texts) if _squeezed(text) == _squeezed(wanted)]
    if not found:
        name = _NAME.match(wanted)
        found = [index for index, root in enumerate(lock.roots) if name and lock.specs[root].name == name[1]]
    return lock.specs[lock.roots[found[0] if found else 0]].version


def first_spec(environment: Mapping[str, Any]) -> str:
    """The first spec of an environment as text, with matrices and definitions followed to their first entries."""
    definitions: dict[str, Any] = {}
    for definition in environment.get("definitions") or []:
        for name, value in definition.items():
            definitions.setdefault(name, value)
    return _first(environment.get("specs") or [], definitions)


def image_version(image: ImageReference) -> str:
    """The version of an imported image: its tag, or what identifies its digest."""
    if image.tag:
        return image.tag
    algorithm, _, digits = (image.digest or "").partition(":")
    return f"{algorithm}-{digits[:16]}"


def tag_of(version: str, context: Context) -> str:
    """The tag, without architecture: the version on the default branch, version and branch elsewhere."""
    legal = legal_version(version)
    return legal if context.is_default_branch else f"{legal}__{context.ref_slug}"


def legal_version(version: str) -> str:
    """A version as it may stand in a tag: `git.v1.2=1.2` has characters that tags do not; `__` separates."""
    legal = re.sub(r"_{2,}", "_", re.sub(r"[^A-Za-z0-9_.-]", "-", version)).lstrip(".-") or "none"
    if len(legal) <= MAX_VERSION:
        return legal
    # Two long versions must not become one.
    return f"{legal[: MAX_VERSION - 9]}-{hashlib.sha256(version.encode()).hexdigest()[:8]}"


def _first(specs: Any, definitions: Mapping[str, Any]) -> str:
    while not isinstance(specs, str):
        if isinstance(specs, Mapping) and "matrix" in specs:
            specs = " ".join(_first(row, definitions) for row in specs["matrix"] or [])
        elif isinstance(specs, Mapping):
            specs = specs.get("specs") or []
        elif specs:
            specs = specs[0]
        else:
            return ""
    name = re.fullmatch(r"\$[%^]*([\w-]+)", specs)
    if name and name[1] in definitions:
        rest = {other: value for other, value in definitions.items() if other != name[1]}
        return _first(definitions[name[1]], rest)
    return specs


def _squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)
