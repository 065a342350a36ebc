"""The files of an image in a registry that say what is in it, out of its layers, the uppermost first.

Source: OCI image specification, "Image Layer Filesystem Changeset" (whiteouts).
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Final

from foundation.errors import DamagedError
from job_creator.environments.views import LOCK_PATH
from job_creator.sbom import distribution

_GONE: Final = ".wh."
_ALL_GONE: Final = ".wh..wh..opq"
_LARGEST: Final = 256 << 20
_FIXED: Final = frozenset(
    (
        *distribution.OS_RELEASE,
        distribution.DPKG,
        distribution.APK,
        *distribution.RPM,
        LOCK_PATH,
        *distribution.UNREADABLE_RPM,
    )
)


def is_wanted(path: str) -> bool:
    """Whether a file says what is in a container."""
    if path in _FIXED or path.startswith(f"{distribution.DPKG_FOLDER}/"):
        return True
    return "/.spack/" in path and path.endswith("/package.py")


class LayeredFiles:
    """The files that are wanted, of all layers; what an upper layer has or takes away, lower ones have not."""

    def __init__(self) -> None:
        self._found: dict[str, bytes] = {}
        self._gone: set[str] = set()
        self._emptied: set[str] = set()

    def add(self, layer: IO[bytes]) -> None:
        """Read the next lower layer, packed or not. Raises `DamagedError`."""
        gone, emptied, found = set[str](), set[str](), dict[str, bytes]()
        try:
            with tarfile.open(fileobj=layer, mode="r|*") as archive:
                for member in archive:
                    path = "/" + member.name.removeprefix("./").strip("/")
                    folder, _, name = path.rpartition("/")
                    if name == _ALL_GONE:
                        emptied.add(folder)
                    elif name.startswith(_GONE):
                        gone.add(f"{folder}/{name.removeprefix(_GONE)}")
                    elif member.isfile() and is_wanted(path) and member.size <= _LARGEST:
                        content = archive.extractfile(member)
                        found[path] = content.read() if content else b""
        except (tarfile.TarError, EOFError, OSError, ValueError) as error:
            raise DamagedError(f"is no layer: {error}") from None
        self._found |= {path: data for path, data in found.items() if not self._is_hidden(path)}
        self._gone |= gone
        self._emptied |= emptied

    def _is_hidden(self, path: str) -> bool:
        if path in self._found or path in self._gone:
            return True
        return any(path.startswith(f"{folder}/") for folder in (*self._emptied, *self._gone))

    def read(self, path: str) -> bytes | None:
        """The content of a wanted file; `None` where there is none."""
        return self._found.get(path)

    def files(self, path: str, wanted: Callable[[str], bool]) -> Iterator[str]:
        """The wanted files below a folder; of which folders does not matter, since all are known."""
        del wanted
        start = f"{path.rstrip('/')}/"
        return iter(sorted(one for one in self._found if one.startswith(start)))


def files_of(layers: Iterable[IO[bytes]]) -> LayeredFiles:
    """The files of some layers, which come the uppermost first. Raises `DamagedError`."""
    found = LayeredFiles()
    for layer in layers:
        found.add(layer)
    return found
