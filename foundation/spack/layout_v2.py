"""Layout v2 of build caches: `build_cache/`, written by Spack up to 0.23.

    build_cache/<arch>-<compiler>-<name>-<version>-<hash>.spec.json[.sig]
    build_cache/<arch>/<compiler>/<name>-<version>/<arch>-<compiler>-<name>-<version>-<hash>.spack
    build_cache/index.json, build_cache/index.json.hash (the sha256 of the former)
    build_cache/_pgp/<fingerprint>.pub, build_cache/_pgp/index.json

Source: `tarball_name`, `tarball_directory_name` in lib/spack/spack/binary_distribution.py of Spack v0.23.1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

FOLDER: Final = "build_cache/"
INDEX: Final = f"{FOLDER}index.json"
INDEX_CHECKSUM: Final = f"{FOLDER}index.json.hash"
KEYS: Final = f"{FOLDER}_pgp/"
KEY_INDEX: Final = f"{KEYS}index.json"
KEY: Final = re.compile(rf"{KEYS}([0-9A-F]{{40,64}})\.pub")
SPEC_FILE: Final = re.compile(rf"{FOLDER}[^/]+-([a-z2-7]{{32}})\.spec\.json(\.sig)?")
ARCHIVE: Final = re.compile(rf"{FOLDER}.+-([a-z2-7]{{32}})\.spack")
OTHERS: Final = re.compile(rf"{FOLDER}(index\.json(\.hash)?|layout\.json|_pgp/.*)")


def is_spec_file(key: str) -> bool:
    """Whether Spack finds a spec by this."""
    return bool(SPEC_FILE.fullmatch(key))


def hash_of(key: str) -> str:
    """The DAG hash in the name of a spec file; empty if it is none."""
    match = SPEC_FILE.fullmatch(key)
    return match[1] if match else ""


def _stem(node: Mapping[str, Any]) -> tuple[str, str, str]:
    arch, compiler = node.get("arch") or {}, node.get("compiler") or {}
    target = arch.get("target")
    target = target.get("name") if isinstance(target, Mapping) else target
    place = "-".join(str(one) for one in (arch.get("platform"), arch.get("platform_os"), target))
    built = f"{compiler.get('name')}-{compiler.get('version')}"
    return place, built, f"{place}-{built}-{node.get('name')}-{node.get('version')}-{node.get('hash')}"


def spec_files_of(node: Mapping[str, Any]) -> tuple[str, str]:
    """Where the spec file of a concrete spec can be: signed, and not signed."""
    name = f"{FOLDER}{_stem(node)[2]}.spec.json"
    return f"{name}.sig", name


def archive_of(node: Mapping[str, Any]) -> str:
    """Where the archive of a concrete spec is."""
    place, built, name = _stem(node)
    return f"{FOLDER}{place}/{built}/{node.get('name')}-{node.get('version')}/{name}.spack"
