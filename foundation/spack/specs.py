"""Concrete specs as indexes and spec files hold them; the only place that knows how specfile versions differ.

Sources: lib/spack/spack/spec.py (specfile versions 3 to 5, clear-signed JSON) and lib/spack/spack/database.py (index
database versions 6 to 8) of Spack v0.18 to v1.1.0.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from foundation.errors import DamagedError, RefusedError
from foundation.openpgp.frame import SIGNED
from foundation.spack.lockfile import RUNTIME_TYPES, dependency_types
from foundation.spack.releases import DATABASE_OF_SPECFILE, SPECFILE_OF_DATABASE

_SIGNATURE: Final = "-----BEGIN PGP SIGNATURE-----"

Node = Mapping[str, Any]
"""A spec without its dependencies' nodes, as all of Spack's files write it."""


@dataclass(frozen=True, slots=True)
class Spec:
    """What the policy needs to know of a concrete spec.

    `dependencies` are the DAG hashes of what it links or runs, and of what it was spliced from; `build_dependencies`
    those of everything else. `spliced_from` is empty for a spec that is not spliced.
    """

    hash: str
    name: str
    version: str
    namespace: str
    target: str
    is_external: bool
    dependencies: tuple[str, ...]
    build_dependencies: tuple[str, ...]
    spliced_from: str = ""

    def __str__(self) -> str:
        """`name@version/hash`, the hash shortened as Spack does it."""
        return f"{self.name}@{self.version}/{self.hash[:7]}"

    @property
    def counted(self) -> tuple[str, ...]:
        """The dependencies that indexes have records for, and count references of."""
        own = (*self.dependencies, *self.build_dependencies)
        return tuple(one for one in own if one != self.spliced_from) if self.spliced_from else own


def spec_of(node: Node, hash_: str = "") -> Spec:
    """The spec that a node describes. Raises `KeyError`, `TypeError` or `AttributeError` if it describes none."""
    types = dependency_types(node)
    spliced = node["build_spec"]["hash"] if node.get("build_spec") else ""
    runtime = [intern(one) for one, kinds in types.items() if kinds & RUNTIME_TYPES]
    if spliced and spliced not in runtime:
        runtime.append(intern(spliced))
    return Spec(
        intern(hash_ or node["hash"]),
        intern(node["name"]),
        intern(str(node["version"])),
        intern(node.get("namespace") or ""),
        intern(_target(node)),
        bool(node.get("external")),
        tuple(runtime),
        tuple(intern(one) for one, kinds in types.items() if not kinds & RUNTIME_TYPES),
        spliced,
    )


def intern(text: str) -> str:
    """The same text, stored once: hundreds of thousands of specs share names, versions and hashes."""
    return sys.intern(text)


def _target(node: Node) -> str:
    target = node.get("arch", {}).get("target", "")
    return str(target["name"] if isinstance(target, Mapping) else target)


@dataclass(frozen=True, slots=True)
class SpecFile:
    """A spec file: the nodes of a spec and of all that it depends on, the spec itself first."""

    version: int
    """The specfile version."""
    nodes: tuple[Node, ...]
    archive_sha256: str
    """The checksum of its archive; empty where the manifest holds it (layout v3)."""


def read_spec_file(data: bytes, place: str) -> SpecFile:
    """Read a spec file, signed or not. Raises `DamagedError`, and `RefusedError` for a version that is not known."""
    value = read_signed_json(data, place)
    try:
        version = value["spec"]["_meta"]["version"]
        nodes = tuple(value["spec"]["nodes"])
        checksum = value.get("binary_cache_checksum") or {}
    except (KeyError, TypeError, AttributeError):
        raise DamagedError(f"{place}: not laid out like a spec file of Spack") from None
    if version not in DATABASE_OF_SPECFILE:
        raise RefusedError(f"{place}: specfile version {version!r} is not known; nothing is changed")
    if not nodes:
        raise DamagedError(f"{place}: describes no spec")
    return SpecFile(version, nodes, checksum.get("hash", "") if checksum.get("hash_algorithm") == "sha256" else "")


def is_signed(data: bytes) -> bool:
    """Whether a spec file or manifest is clear-signed. Not whether the signature is good: that is for Spack to say."""
    return data.startswith(SIGNED)


def read_signed_json(data: bytes, place: str) -> Any:
    """The JSON of a file that may be clear-signed (RFC 4880, section 7). Raises `DamagedError`."""
    try:
        text = signed_text(data.decode()) if is_signed(data) else data.decode()
        if not text and is_signed(data):
            raise DamagedError(f"{place}: the signature is cut off")
        return json.loads(text)
    except (ValueError, RecursionError):
        raise DamagedError(f"{place}: not readable as JSON") from None


def signed_text(message: str) -> str:
    """The text that was clear-signed; empty if the signature is cut off."""
    text = message.partition("\n\n")[2] if "\n\n" in message else message.partition("\r\n\r\n")[2]
    body, found, _ = text.partition(_SIGNATURE)
    return "\n".join(line.removeprefix("- ") for line in body.splitlines()) if found else ""


def upgraded(node: Node, old: int, new: int) -> dict[str, Any]:
    """A node of one database version as a later one writes it, hash and all else unchanged."""
    result = dict(node)
    if old < 7 <= new and "dependencies" in node:
        result["dependencies"] = [
            {"name": one["name"], "hash": one["hash"], "parameters": {"deptypes": one["type"], "virtuals": []}}
            for one in node["dependencies"]
        ]
    if old < 8 <= new and "annotations" not in node:
        compiler = result.pop("compiler", None)
        annotations: dict[str, Any] = {"original_specfile_version": SPECFILE_OF_DATABASE[old]}
        if compiler:
            annotations["compiler"] = f"{compiler['name']}@{compiler['version']}"
        result["annotations"] = annotations
        result["hash"] = result.pop("hash", node.get("hash"))
    return result
