"""Spack's lockfiles, and nothing else knows their formats.

Source: lib/spack/spack/environment/environment.py (lockfile versions) and lib/spack/spack/spec.py (specfile versions)
of Spack v0.21.3 to v1.1.0; the documentation of lib/spack/spack/environment/__init__.py after 1.2 for versions 7 and 8.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from foundation.errors import Fault, InvalidInputError
from foundation.spack.groups import DEFAULT_GROUP
from foundation.spack.releases import LOCKFILES

_HASH: Final = re.compile(r"[A-Za-z0-9_-]+")
_NAME: Final = re.compile(r"\w[\w.-]*", re.ASCII)
_VERSION: Final = re.compile(r"[^\s$%\\'\"`]*")
"""What may stand in names of folders, jobs and variables. A recipe could have had anything written into a lockfile."""

RUNTIME_TYPES: Final = frozenset(("link", "run"))
"""The types of dependencies without which an installed package does not work."""


@dataclass(frozen=True, slots=True)
class LockedSpec:
    """A concrete spec. `dependencies` are DAG hashes of dependencies of every type, and of what it was spliced from.

    `runtime_dependencies` are those of them that the installed package needs: linked, run, or spliced from.
    """

    hash: str
    name: str
    version: str
    is_external: bool
    dependencies: tuple[str, ...]
    runtime_dependencies: tuple[str, ...] = ()
    namespace: str = ""
    package_hash: str = ""
    """The hash of the recipe without its directives (lib/spack/spack/util/package_hash.py)."""


@dataclass(frozen=True, slots=True)
class Lockfile:
    """A `spack.lock`: the DAG hashes of its roots, and all specs by hash.

    The order of the roots is the concretizer's, not that of the environment's specs.
    """

    roots: tuple[str, ...]
    specs: Mapping[str, LockedSpec]
    root_texts: tuple[str, ...] = ()
    """What the environment asked for, root by root, as Spack writes it (`hdf5+mpi` for `hdf5 +mpi`)."""
    included_roots: tuple[str, ...] = ()
    """The roots of concrete environments that this one includes (`include_concrete`, since Spack 0.22)."""
    spack_version: str = ""
    spack_commit: str = ""
    """Which Spack wrote the lockfile; the commit is empty for one without a repository."""
    root_groups: tuple[str, ...] = ()
    """The spec group of each root, in the order of the roots; since version 7, one and the same before."""

    def installed(self) -> tuple[LockedSpec, ...]:
        """What is left when build dependencies have done their work: the roots, and what they link or run.

        Sorted by name and hash.
        """
        waiting, found = [*self.roots, *self.included_roots], {}
        while waiting:
            spec = self.specs.get(waiting.pop())
            if spec is not None and spec.hash not in found:
                found[spec.hash] = spec
                waiting += spec.runtime_dependencies
        return tuple(sorted(found.values(), key=lambda spec: (spec.name, spec.hash)))


def read_lockfile(content: bytes, path: str) -> Lockfile:
    """Read a lockfile; `path` is only used to name it. Raises `InvalidInputError`."""

    def fault(message: str, hint: str = "") -> InvalidInputError:
        return InvalidInputError([Fault(path, 1, 1, message, hint)])

    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        raise fault("not readable as JSON; is the file truncated?") from None
    meta = value.get("_meta") if isinstance(value, dict) else None
    if not isinstance(meta, dict) or meta.get("file-type") != "spack-lockfile":
        raise fault("no lockfile of Spack")
    if meta.get("lockfile-version") not in LOCKFILES:
        supported = ", ".join(map(str, LOCKFILES))
        raise fault(f"lockfile version {meta.get('lockfile-version')!r} is not known", f"known are {supported}")
    try:
        environments = [value, *value.get("include_concrete", {}).values()]
        specs = {spec.hash: spec for environment in environments for spec in _specs(environment)}
        roots = [(str(root["hash"]), str(root["spec"])) for root in value["roots"]]
        included = [str(root["hash"]) for environment in environments[1:] for root in environment["roots"]]
        if odd := next((spec for spec in specs.values() if not _is_plain(spec)), None):
            raise fault(f"{odd.name!r}, {odd.version!r}, {odd.hash!r} are no package's name, version and hash")
        writer = value.get("spack") or {}
        return Lockfile(
            tuple(root for root, _ in roots),
            specs,
            tuple(text for _, text in roots),
            tuple(included),
            str(writer.get("version") or ""),
            str(writer.get("commit") or ""),
            tuple(str(root.get("group", DEFAULT_GROUP)) for root in value["roots"]),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise fault(f"not laid out like a lockfile: {error}") from None


def nodes_in(content: bytes, path: str) -> dict[str, Mapping[str, Any]]:
    """The nodes of all specs by DAG hash as Spack wrote them, also those of included environments.

    Raises `InvalidInputError`.
    """
    read_lockfile(content, path)
    return dict(_nodes(json.loads(content)))


def flattened(content: bytes, path: str) -> bytes:
    """A lockfile with the same specs in which everything that nothing depends on is a root, and nothing is included.

    Spack then finds all of them without the environments that the lockfile came from. Raises `InvalidInputError`.
    """
    read = read_lockfile(content, path)
    value = json.loads(content)
    value["concrete_specs"] = dict(_nodes(value))
    value.pop("include_concrete", None)
    needed = {dependency for spec in read.specs.values() for dependency in spec.dependencies}
    roots = [spec for spec in read.specs.values() if spec.hash not in needed]
    value["roots"] = [{"hash": spec.hash, "spec": spec.name} for spec in roots]
    return json.dumps(value).encode()


def dependency_types(node: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    """The types (`link`, `run`, `build`, `test`) of each dependency of a node by DAG hash, in specfiles 2 to 6.

    Nodes of lockfiles, of spec files and of indexes of build caches look the same. Raises `KeyError` and `TypeError`
    where they do not.
    """
    found: dict[str, frozenset[str]] = {}
    for dependency in node.get("dependencies", ()):
        types = dependency["type"] if "type" in dependency else dependency["parameters"]["deptypes"]
        found[dependency["hash"]] = found.get(dependency["hash"], frozenset()).union(types)
    return found


def _nodes(value: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """What the environment itself says of a spec counts, where an included one has it as well."""
    for environment in (*value.get("include_concrete", {}).values(), value):
        yield from environment["concrete_specs"].items()


def _is_plain(spec: LockedSpec) -> bool:
    parts = ((_HASH, spec.hash), (_NAME, spec.name), (_VERSION, spec.version))
    return all(form.fullmatch(text) for form, text in parts)


def _specs(environment: Mapping[str, Any]) -> Iterator[LockedSpec]:
    for key, node in environment["concrete_specs"].items():
        spliced = [node["build_spec"]["hash"]] if node.get("build_spec") else []
        dependencies = dependency_types(node)
        needed = [hash_ for hash_, types in dependencies.items() if types & RUNTIME_TYPES]
        # In a lockfile the key is the DAG hash in all supported versions; the field of that name came with version 4.
        yield LockedSpec(
            key,
            node["name"],
            str(node["version"]),
            "external" in node,
            (*dependencies, *spliced),
            (*needed, *spliced),
            node.get("namespace") or "",
            node.get("package_hash") or "",
        )
