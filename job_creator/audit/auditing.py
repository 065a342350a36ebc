"""Looks at everything that Spack installed in a SIF file, on all processors, and has the rules judge it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Final

from foundation.sif.contents import Contents, opened_contents
from foundation.sif.files import open_sif
from foundation.spack.lockfile import nodes_in, read_lockfile
from job_creator.audit.elf_headers import MAGIC, ElfHeaders, has_choices, read_elf
from job_creator.audit.findings import AuditFinding, AuditKind, AuditReport, in_order
from job_creator.audit.instructions import above_target, undecided
from job_creator.audit.linkage import (
    OF_HOST,
    ContainerWorld,
    build_path_finding,
    linkage_findings,
    script_finding,
)
from job_creator.audit.targets import features_of
from job_creator.environments.views import LOCK_PATH

_HASH: Final = re.compile(r"-([a-z2-7]{7,32})$")
_NO_FOLDERS: Final = ("/proc", "/sys", "/dev", "/usr", "/etc", "/var", "/.singularity.d")
_SPACKS_OWN: Final = "/.spack"
_SETTINGS: Final = "/etc/ld.so.conf"
_CHOSEN: Final = re.compile(r"avx-?_?512|avx-?_?2|skylake|zen[2-5]|haswell|knl|icelake|sapphire", re.IGNORECASE)
"""Names of libraries that others choose when they are started, by what the processor can do."""
_LARGEST: Final = 1 << 30
"""Bytes of a file; each process has one in memory."""
_SHARE: Final = 64
"""Files that a process is given at once."""


@dataclass(frozen=True, slots=True)
class InstalledPackage:
    """A package of the lockfile: what it is called, its target, and what that allows; `None` where that is unknown."""

    title: str
    target: str
    allowed: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class _Share:
    """Files that one process looks at."""

    sif: Path
    files: tuple[tuple[str, InstalledPackage], ...]
    names: frozenset[str]
    of_host: tuple[str, ...]


def audit_sif(path: Path, of_host: Sequence[str] = (), workers: int | None = None) -> AuditReport:
    """Everything that is wrong with what Spack installed.

    `of_host` are patterns of names of libraries that the host brings. Raises `DamagedError`, `InvalidInputError` and
    `FileAccessError`.
    """
    with opened_contents(open_sif(path)) as contents:
        lock = contents.read(LOCK_PATH)
        if lock is None:
            return AuditReport(0, (), (f"{LOCK_PATH} is not there: Spack installed nothing in this container",))
        packages = _packages(lock)
        every = [*_installed(contents, packages)]
    names = frozenset(name.rpartition("/")[2] for name, _ in every)
    shares = [
        _Share(path, tuple(every[start :: max(1, len(every) // _SHARE)]), names, (*OF_HOST, *of_host))
        for start in range(max(1, len(every) // _SHARE) if every else 0)
    ]
    count = min(workers or os.cpu_count() or 1, len(shares))
    if count <= 1:
        found = [_looked_at(share) for share in shares]
    else:
        with ProcessPoolExecutor(count) as pool:
            found = [*pool.map(_looked_at, shares)]
    findings = in_order(one for some, _ in found for one in some)
    return AuditReport(len(every), findings, tuple(sorted({why for _, some in found for why in some})))


def _packages(lock: bytes) -> dict[str, InstalledPackage]:
    """The packages of a lockfile by DAG hash. Raises `InvalidInputError`."""
    nodes = nodes_in(lock, LOCK_PATH)
    return {
        spec.hash: InstalledPackage(f"{spec.name}@{spec.version}", *features_of(nodes[spec.hash]))
        for spec in read_lockfile(lock, LOCK_PATH).specs.values()
        if not spec.is_external
    }


def _installed(contents: Contents, packages: Mapping[str, InstalledPackage]) -> Iterator[tuple[str, InstalledPackage]]:
    """The files below the prefixes of packages, which have the DAG hash, or its first letters, at their end."""

    @lru_cache(maxsize=65536)
    def package_of(folder: str) -> InstalledPackage | None:
        if not folder:
            return None
        above, _, name = folder.rpartition("/")
        match = _HASH.search(name)
        known = name if name in packages else match[1] if match else ""
        found = next((one for hash_, one in packages.items() if known and hash_.startswith(known)), None)
        return found or package_of(above)

    def wanted(folder: str) -> bool:
        return not folder.endswith(_SPACKS_OWN) and folder not in _NO_FOLDERS

    for path in contents.files("/", wanted):
        if package := package_of(path.rpartition("/")[0]):
            yield path, package


def _looked_at(share: _Share) -> tuple[list[AuditFinding], set[str]]:
    """What is found in some files, and what could not be looked at."""
    found: list[AuditFinding] = []
    unlooked: set[str] = set()
    with opened_contents(open_sif(share.sif)) as contents:
        folders = ContainerWorld.default_folders([*_configured(contents, _SETTINGS)])
        world = ContainerWorld(lru_cache(maxsize=None)(contents.exists), share.names, folders, share.of_host)
        for path, package in share.files:
            head = contents.head(path, 256)
            if head.startswith(b"#!"):
                found += [one for one in [script_finding(path, package.title, head, world)] if one]
            elif head.startswith(MAGIC):
                if (size := contents.size(path) or 0) > _LARGEST:
                    unlooked.add(f"{path} has {size >> 20} MiB, more than is read at once")
                    continue
                data = contents.read(path, _LARGEST) or b""
                headers = read_elf(data)
                if headers is None:
                    unlooked.add(f"{path} is no ELF file that can be read")
                    continue
                found += linkage_findings(path, package.title, headers, world)
                found += [one for one in [build_path_finding(path, package.title, data)] if one]
                found += _instruction_findings(path, package, data, headers, unlooked)
    return found, unlooked


def _instruction_findings(
    path: str, package: InstalledPackage, data: bytes, headers: ElfHeaders, unlooked: set[str]
) -> Iterator[AuditFinding]:
    why = next(undecided(headers), "")
    if package.allowed is None:
        why = f"what the target {package.target or 'without a name'} allows is not known"
    if why:
        unlooked.add(f"instructions of {package.title}: {why}")
        return
    above = above_target(data, headers, package.allowed or frozenset())
    if not above.is_whole:
        unlooked.add(f"instructions of {path}: not all of them, the file is too large")
    if not above.features:
        return
    needs = ", ".join(above.features)
    said = f"has instructions ({needs}) that {package.target} lacks"
    finding = AuditFinding(package.title, path, AuditKind.INSTRUCTIONS, True, said)
    if above.asks_processor or has_choices(data) or _CHOSEN.search(path.rpartition("/")[2]):
        yield replace(finding, is_fault=False, said=f"{said}, and seems to choose when it is started")
    else:
        yield finding


def _configured(contents: Contents, path: str) -> Iterator[str]:
    """The folders of the loader's configuration (ldconfig(8)), with the files that it includes."""
    for line in (contents.read(path) or b"").decode(errors="replace").splitlines():
        words = line.split("#")[0].split()
        if words[:1] == ["include"]:
            folder = words[-1].rpartition("/")[0]
            for one in contents.files(folder if folder.startswith("/") else f"/etc/{folder}"):
                if one.endswith(".conf"):
                    yield from _listed(contents, one)
        elif words:
            yield words[0]


def _listed(contents: Contents, path: str) -> Iterable[str]:
    lines = (contents.read(path) or b"").decode(errors="replace").splitlines()
    return [words[0] for line in lines if (words := line.split("#")[0].split())]
