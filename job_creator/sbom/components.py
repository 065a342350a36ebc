"""A bill of materials as values: the packages of a container, and how they depend on each other. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final
from urllib.parse import quote

from foundation.spack.lockfile import Lockfile

_REFERENCE: Final = re.compile(r"[^A-Za-z0-9.-]+")


class PackageKind(StrEnum):
    """Who installed a package. The values are the types of package URLs."""

    SPACK = "spack"
    DEB = "deb"
    RPM = "rpm"
    APK = "apk"


@dataclass(frozen=True, slots=True)
class Licence:
    """A license as an SPDX expression, and what was written where that is no known one."""

    expression: str
    texts: Mapping[str, str] = field(default_factory=dict)
    """For each `LicenseRef-…` in it what somebody wrote."""


@dataclass(frozen=True, slots=True)
class BomPackage:
    """A package of a container."""

    kind: PackageKind
    name: str
    version: str
    namespace: str = ""
    """The repository of recipes, or the distribution."""
    architecture: str = ""
    licence: Licence | None = None
    """What its recipe or its distribution declares; `None` where nobody says."""
    concluded: Licence | None = None
    """What the site says of it."""
    hash: str = ""
    """Spack's DAG hash."""
    is_external: bool = False
    """Whether Spack found it in the image, and did not install it."""
    depends: tuple[str, ...] = ()
    """The references of the packages that it needs."""
    release: str = ""
    """The release of the distribution: `debian-12`."""

    @property
    def reference(self) -> str:
        """What others call it in a document: letters, digits, points and hyphens."""
        parts = (self.kind, self.name, self.hash or f"{self.version}-{self.architecture}")
        return _REFERENCE.sub("-", "-".join(parts)).strip("-")

    @property
    def purl(self) -> str:
        """Its package URL (package-url/purl-spec)."""
        said = {"arch": self.architecture, "distro": self.release, "hash": self.hash}
        qualifiers = "&".join(f"{name}={quote(text, safe='')}" for name, text in sorted(said.items()) if text)
        parts = [quote(one.lower(), safe=".-_") for one in (self.namespace,) if one]
        place = "/".join([*parts, quote(self.name, safe=".-_+")])
        text = f"pkg:{self.kind}/{place}@{quote(self.version, safe='.-_~:')}"
        return f"{text}?{qualifiers}" if qualifiers else text


@dataclass(frozen=True, slots=True)
class Bom:
    """All that is known to be in a container."""

    name: str
    version: str
    packages: tuple[BomPackage, ...]
    """Sorted by their references, none twice."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """What else is said of the container: checksums, and what could not be read."""

    @property
    def unlicensed(self) -> tuple[str, ...]:
        """The names of Spack's packages of which neither recipe nor site says the license, sorted."""
        spack = (one for one in self.packages if one.kind is PackageKind.SPACK)
        return tuple(sorted({one.name for one in spack if not (one.licence or one.concluded)}))

    @property
    def roots(self) -> tuple[str, ...]:
        """The references of the packages that no other package needs."""
        needed = {one for package in self.packages for one in package.depends}
        return tuple(package.reference for package in self.packages if package.reference not in needed)


def bom_of(name: str, version: str, packages: Iterable[BomPackage], facts: Mapping[str, str]) -> Bom:
    """A bill of materials in its one order, whatever the order of the packages."""
    found = {one.reference: one for one in packages}
    every = (
        replace(one, depends=tuple(sorted({other for other in one.depends if other in found})))
        for _, one in sorted(found.items())
    )
    return Bom(name, version, tuple(every), {key: text for key, text in sorted(facts.items()) if text})


def spack_packages(
    lockfile: Lockfile,
    architectures: Mapping[str, str],
    licences: Mapping[str, Licence],
    concluded: Mapping[str, Licence],
) -> tuple[BomPackage, ...]:
    """The packages that a lockfile installs; `architectures` and `licences` are by DAG hash, `concluded` by name.

    What is only there to build others is not in a container, and not in here.
    """
    every = lockfile.installed()
    named = {
        spec.hash: BomPackage(
            PackageKind.SPACK,
            spec.name,
            spec.version,
            spec.namespace,
            architectures.get(spec.hash, ""),
            licences.get(spec.hash),
            concluded.get(spec.name),
            spec.hash,
            spec.is_external,
        )
        for spec in every
    }
    references = {hash_: package.reference for hash_, package in named.items()}
    return tuple(
        replace(
            named[spec.hash],
            depends=tuple(references[one] for one in spec.runtime_dependencies if one in references),
        )
        for spec in every
    )
