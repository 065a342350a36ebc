"""Looks at everything that Spack installed in a SIF file, on all processors, or in an image; rules judge it."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Final, Protocol

from foundation.errors import naming
from foundation.registries.blobs import RegistryBlob
from foundation.registries.images import RegistryClient
from foundation.sif.contents import opened_contents
from foundation.sif.files import open_sif
from foundation.spack.lockfile import nodes_in, read_lockfile
from job_creator.audit.elf_headers import MAGIC, ElfHeaders, has_choices, read_elf
from job_creator.audit.findings import AuditFinding, AuditKind, AuditReport, in_order
from job_creator.audit.image_files import ImageFiles
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
from job_creator.proving.embedding import image_documents
from job_creator.proving.image_facts import layers_of
from job_creator.proving.image_links import by_digest, fetched_layer

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


class AuditedFiles(Protocol):
    """The files of a container. Paths are absolute; links are followed within it. Methods raise `DamagedError`."""

    def read(self, path: str, most: int = ...) -> bytes | None:
        """The content of a file of at most so many bytes; `None` where there is none."""

    def size(self, path: str) -> int | None:
        """How many bytes a file has; `None` where there is none."""

    def head(self, path: str, size: int) -> bytes:
        """The first bytes of a file, at most 256; none where there is none."""

    def exists(self, path: str) -> bool:
        """Whether there is something at a path."""

    def files(self, path: str, wanted: Callable[[str], bool] = ...) -> Iterator[str]:
        """The files below a folder, those of folders that are not `wanted` left out."""


def audit_sif(path: Path, of_host: Sequence[str] = (), workers: int | None = None) -> AuditReport:
    """Everything that is wrong with what Spack installed.

    `of_host` are patterns of names of libraries that the host brings. Raises `DamagedError`, `InvalidInputError` and
    `FileAccessError`.
    """
    with opened_contents(open_sif(path)) as contents:
        every = _installed(contents)
    if every is None:
        return _NOTHING_INSTALLED
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
    return _report(len(every), found)


def audit_image(client: RegistryClient, image: str, architecture: str, of_host: Sequence[str] = ()) -> AuditReport:
    """The same of an image in a registry, whose layers are read; of an index, the image for an architecture.

    Raises `NotThereError`, `CouldNotAskError`, `DamagedError` and `InvalidInputError`.
    """
    reference = by_digest(client, image, architecture)
    documents = image_documents(client, str(reference))
    with naming(tempfile.gettempdir()), tempfile.TemporaryFile() as kept:
        contents = ImageFiles(kept)
        for layer in layers_of(documents):
            with fetched_layer(client, reference, RegistryBlob.described_by(layer)) as stream:
                contents.add(stream)
        every = _installed(contents)
        if every is None:
            return _NOTHING_INSTALLED
        names = frozenset(name.rpartition("/")[2] for name, _ in every)
        found = _findings(contents, every, names, (*OF_HOST, *of_host))
    return _report(len(every), [found])


_NOTHING_INSTALLED: Final = AuditReport(
    0, (), (f"{LOCK_PATH} is not there: Spack installed nothing in this container",)
)


def _report(files: int, found: Sequence[tuple[list[AuditFinding], set[str]]]) -> AuditReport:
    findings = in_order(one for some, _ in found for one in some)
    return AuditReport(files, findings, tuple(sorted({why for _, some in found for why in some})))


def _packages(lock: bytes) -> dict[str, InstalledPackage]:
    """The packages of a lockfile by DAG hash. Raises `InvalidInputError`."""
    nodes = nodes_in(lock, LOCK_PATH)
    return {
        spec.hash: InstalledPackage(f"{spec.name}@{spec.version}", *features_of(nodes[spec.hash]))
        for spec in read_lockfile(lock, LOCK_PATH).specs.values()
        if not spec.is_external
    }


def _installed(contents: AuditedFiles) -> list[tuple[str, InstalledPackage]] | None:
    """The files below the prefixes of packages, which have the DAG hash, or its first letters, at their end.

    `None` for a container without a lockfile. Raises `InvalidInputError` and `DamagedError`.
    """
    lock = contents.read(LOCK_PATH)
    if lock is None:
        return None
    packages = _packages(lock)

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

    every = ((path, package_of(path.rpartition("/")[0])) for path in contents.files("/", wanted))
    return [(path, package) for path, package in every if package]


def _looked_at(share: _Share) -> tuple[list[AuditFinding], set[str]]:
    with opened_contents(open_sif(share.sif)) as contents:
        return _findings(contents, share.files, share.names, share.of_host)


def _findings(
    contents: AuditedFiles,
    files: Iterable[tuple[str, InstalledPackage]],
    names: frozenset[str],
    of_host: tuple[str, ...],
) -> tuple[list[AuditFinding], set[str]]:
    """What is found in some files, and what could not be looked at; `names` are those of all files of packages."""
    found: list[AuditFinding] = []
    unlooked: set[str] = set()
    folders = ContainerWorld.default_folders([*_configured(contents, _SETTINGS)])
    world = ContainerWorld(lru_cache(maxsize=None)(contents.exists), names, folders, of_host)
    for path, package in files:
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


def _configured(contents: AuditedFiles, path: str) -> Iterator[str]:
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


def _listed(contents: AuditedFiles, path: str) -> Iterable[str]:
    lines = (contents.read(path) or b"").decode(errors="replace").splitlines()
    return [words[0] for line in lines if (words := line.split("#")[0].split())]
