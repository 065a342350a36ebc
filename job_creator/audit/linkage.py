"""What a file asks the loader for, against what is in the container. Pure.

Source: ld.so(8), "DESCRIPTION" (where libraries are looked for, and in which order).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from job_creator.audit.elf_headers import ElfHeaders
from job_creator.audit.findings import AuditFinding, AuditKind

OF_HOST: Final = ("libcuda.so*", "libnvidia-*.so*", "libnvcuvid.so*", "libnvoptix.so*")
"""What drivers of the host bring, and no container."""
_BUILT: Final = re.compile(r"/spack-stage(/|-)")
_OPEN: Final = ("/tmp/", "/var/tmp/", "/dev/shm/", "/home/", "/builds/")  # noqa: S108
"""Where others may put something, and where jobs build."""
_SHEBANG: Final = re.compile(rb"#!\s*(\S+)(?:\s+(\S+))?")
_DEFAULT: Final = ("/lib64", "/usr/lib64", "/lib", "/usr/lib")


@dataclass(frozen=True, slots=True)
class ContainerWorld:
    """The container that files are held against."""

    exists: Callable[[str], bool]
    """Whether there is something at a path, over links."""
    names: frozenset[str]
    """The names of all files of packages."""
    folders: tuple[str, ...]
    """Where the loader looks besides."""
    of_host: tuple[str, ...] = OF_HOST

    @classmethod
    def default_folders(cls, configured: Sequence[str]) -> tuple[str, ...]:
        """Those of the loader, and those of its configuration."""
        return (*configured, *_DEFAULT)


def linkage_findings(path: str, package: str, headers: ElfHeaders, world: ContainerWorld) -> Iterator[AuditFinding]:
    """Interpreter, search paths and libraries of a file."""
    if headers.interpreter and not world.exists(headers.interpreter):
        said = f"its interpreter {headers.interpreter} is not in the container"
        yield AuditFinding(package, path, AuditKind.INTERPRETER, True, said)
    origin = posixpath.dirname(path)
    folders = [one.replace("${ORIGIN}", origin).replace("$ORIGIN", origin) for one in headers.search]
    for folder in dict.fromkeys(folders):
        if told := _of_folder(folder, world):
            yield AuditFinding(package, path, AuditKind.SEARCH_PATH, *told)
    for name in headers.needed:
        if not any(world.exists(posixpath.join(folder, name)) for folder in (*folders, *world.folders)):
            yield AuditFinding(package, path, AuditKind.LIBRARY, *_of_library(name, world))


def _of_folder(folder: str, world: ContainerWorld) -> tuple[bool, str] | None:
    """Whether a search path is a fault or only odd, and what is said of it; `None` if it is as it should be."""
    if not folder.startswith("/"):
        return True, f"looks for libraries in {folder!r}, seen from where it is started"
    if folder.startswith(_OPEN) or _BUILT.search(f"{folder}/"):
        return True, f"looks for libraries in {folder}"
    if "$" in folder or world.exists(folder):
        return None
    return False, f"looks for libraries in {folder}, which is not in the container"


def _of_library(name: str, world: ContainerWorld) -> tuple[bool, str]:
    base = posixpath.basename(name)
    if any(fnmatchcase(base, pattern) for pattern in world.of_host):
        return False, f"needs {name}, which the host has to bring"
    if base in world.names:
        return False, f"needs {name}, and does not say where it is"
    return True, f"needs {name}, which is not in the container"


def script_finding(path: str, package: str, head: bytes, world: ContainerWorld) -> AuditFinding | None:
    """The interpreter of a script; `head` are its first bytes."""
    match = _SHEBANG.match(head)
    if not match:
        return None
    program = match[1].decode(errors="replace")
    if program.startswith("/") and world.exists(program):
        return None
    said = f"its interpreter {program} is not in the container"
    # Only what is meant to be started from a shell.
    return AuditFinding(package, path, AuditKind.INTERPRETER, "/bin/" in path, said)


def build_path_finding(path: str, package: str, data: bytes) -> AuditFinding | None:
    """Whether a file has the path of the folder that it was built in."""
    if b"/spack-stage/" not in data and b"/spack-stage-" not in data:
        return None
    return AuditFinding(package, path, AuditKind.BUILD_PATH, False, "has the path of the folder that it was built in")
