"""The packages of a distribution, as its package manager has them on record. Pure but for reading a database in memory.

Sources: deb822(5) and dpkg's `status`; Alpine's `lib/apk/db/installed`; RPM, "Package Header Structure" (tags of
headers, all numbers big endian) in the table `Packages` of its SQLite database.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from job_creator.sbom.components import BomPackage, PackageKind
from job_creator.sbom.licences import known_expression

OS_RELEASE: Final = ("/etc/os-release", "/usr/lib/os-release")
DPKG: Final = "/var/lib/dpkg/status"
DPKG_FOLDER: Final = "/var/lib/dpkg/status.d"
"""Where images without dpkg keep a file for each package."""
APK: Final = "/lib/apk/db/installed"
RPM: Final = ("/usr/lib/sysimage/rpm/rpmdb.sqlite", "/var/lib/rpm/rpmdb.sqlite")
UNREADABLE_RPM: Final = (
    *("/usr/lib/sysimage/rpm/Packages.db", "/usr/lib/sysimage/rpm/Packages"),
    *("/var/lib/rpm/Packages.db", "/var/lib/rpm/Packages"),
)
"""Databases of other formats, which are told of and not read."""
_NAME, _VERSION, _RELEASE, _EPOCH, _LICENCE, _ARCHITECTURE = 1000, 1001, 1002, 1003, 1014, 1022
_TEXT, _INTEGER, _LOCALIZED = 6, 4, 9
_ENTRY: Final = struct.Struct(">4I")
_MOST_ENTRIES: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Distribution:
    """Which distribution an image is of: `debian`, `12`."""

    name: str = "linux"
    version: str = ""

    @property
    def release(self) -> str:
        """As package URLs write it: `debian-12`."""
        return f"{self.name}-{self.version}" if self.version else self.name


def read_os_release(content: bytes) -> Distribution:
    """Which distribution it is (os-release(5))."""
    pairs = (line.partition("=") for line in content.decode(errors="replace").splitlines())
    said = {name.strip(): text.strip().strip("\"'") for name, equals, text in pairs if equals}
    return Distribution(said.get("ID") or "linux", said.get("VERSION_ID", ""))


def dpkg_packages(content: bytes, of: Distribution) -> Iterator[BomPackage]:
    """What dpkg has installed."""
    for entry in _stanzas(content):
        if "Package" not in entry or "Version" not in entry or "installed" not in entry.get("Status", "installed"):
            continue
        if entry.get("Status", "").startswith("deinstall"):
            continue
        yield BomPackage(
            PackageKind.DEB,
            entry["Package"],
            entry["Version"],
            of.name,
            entry.get("Architecture", ""),
            release=of.release,
        )


def _stanzas(content: bytes) -> Iterator[dict[str, str]]:
    for block in content.decode(errors="replace").split("\n\n"):
        lines = (line.partition(":") for line in block.splitlines() if line[:1] not in (" ", "\t", ""))
        entry = {name: text.strip() for name, colon, text in lines if colon}
        if entry:
            yield entry


def apk_packages(content: bytes, of: Distribution) -> Iterator[BomPackage]:
    """What apk has installed."""
    for entry in _stanzas(content):
        if "P" in entry and "V" in entry:
            licence = known_expression(entry.get("L", ""))
            yield BomPackage(
                PackageKind.APK, entry["P"], entry["V"], of.name, entry.get("A", ""), licence, release=of.release
            )


def rpm_packages(content: bytes, of: Distribution) -> Iterator[BomPackage]:
    """What RPM has installed. Raises `ValueError` for what is no such database."""
    if not content:
        raise ValueError("no database of RPM: it is empty")
    try:
        database = sqlite3.connect(":memory:")
        try:
            database.deserialize(content)
            blobs = [row[0] for row in database.execute("SELECT blob FROM Packages ORDER BY hnum")]
        finally:
            database.close()
    except sqlite3.Error as error:
        raise ValueError(f"no database of RPM: {error}") from None
    for blob in blobs:
        said = _header(blob)
        name = str(said.get(_NAME, ""))
        # Keys that RPM trusts are kept as packages.
        if not name or name == "gpg-pubkey":
            continue
        epoch = f"{said[_EPOCH]}:" if said.get(_EPOCH) else ""
        version = f"{epoch}{said.get(_VERSION, '')}-{said.get(_RELEASE, '')}"
        licence = known_expression(str(said.get(_LICENCE, "")))
        architecture = str(said.get(_ARCHITECTURE, ""))
        yield BomPackage(PackageKind.RPM, name, version, of.name, architecture, licence, release=of.release)


def _header(blob: bytes) -> Mapping[int, str | int]:
    """The texts and numbers of a header, by their tags. Raises `ValueError` if it is cut short."""
    try:
        count, _ = struct.unpack_from(">2I", blob)
        count = min(count, _MOST_ENTRIES)
        start, found = 8 + count * _ENTRY.size, {}
        for tag, kind, offset, _ in (_ENTRY.unpack_from(blob, 8 + index * _ENTRY.size) for index in range(count)):
            place = start + offset
            if kind in (_TEXT, _LOCALIZED):
                found[tag] = blob[place : blob.index(b"\0", place)].decode(errors="replace")
            elif kind == _INTEGER:
                (found[tag],) = struct.unpack_from(">I", blob, place)
    except (struct.error, ValueError) as error:
        raise ValueError(f"a header of RPM cannot be read: {error}") from None
    return found


def joined(files: Iterable[bytes]) -> bytes:
    """Several files of dpkg as one."""
    return b"\n\n".join(files)
