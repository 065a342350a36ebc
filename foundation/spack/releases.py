"""Release lines of Spack, and what differs between them: the only table of Spack's versions.

A new release line is one more row of `RELEASES`, with the versions of the formats that it writes and what came with it.

Sources, Spack v0.18 to v1.1.0: `lockfile_format_version` in lib/spack/spack/environment/environment.py,
`SPECFILE_FORMAT_VERSION` in spec.py, `_DB_VERSION` in database.py, the layouts in binary_distribution.py and
url_buildcache.py. Which line knows which section of an environment stands in sections/table.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from functools import cache
from typing import Final, NamedTuple


class Layout(StrEnum):
    """How Spack lays out a build cache in a bucket or folder. A mirror may hold both."""

    V2 = "v2"
    V3 = "v3"
    OCI = "oci"
    """In a repository of a registry, whichever release writes it."""


class Novelty(Enum):
    """What came with a release line, apart from formats of files and from sections of environments."""

    SIGNED_MIRRORS = auto()
    """Mirrors know the key `signed` (lib/spack/spack/schema/mirrors.py)."""
    PRIVATE_BINARIES = auto()
    """`buildcache push` knows `--private`."""
    ACCESS_PAIR = auto()
    """Mirrors take `access_pair` with names of variables (lib/spack/spack/schema/mirrors.py)."""
    PACKAGE_REPOSITORY = auto()
    """Packages live in a repository of their own (Spack 1.0 release notes)."""
    COMPILERS_AS_DEPENDENCIES = auto()
    """What follows `%gcc` binds to the compiler, and nodes without compiled language have none."""
    INSTALLERS = auto()
    """`config: installer` chooses between the old and the new one (lib/spack/spack/schema/config.py)."""
    CONCRETIZATION_CACHE = auto()
    """`concretizer: concretization_cache` keeps what the solver answered (lib/spack/spack/schema/concretizer.py)."""
    SPEC_GROUPS = auto()
    """Entries of `specs` may be groups (lib/spack/spack/schema/spec_list.py)."""
    NEW_INSTALLER = auto()
    """The new installer also takes what no index lists yet (spack#52073), as it is while a pipeline fills a cache."""
    INDEX_VIEWS = auto()
    """`buildcache update-index` takes `--name` and environments (lib/spack/spack/cmd/buildcache.py)."""


class SpackLine(NamedTuple):
    """A release line such as 0.23 or 1.1; lines compare in the order of their release."""

    major: int
    minor: int

    @classmethod
    def parse(cls, text: str) -> SpackLine:
        """Read `"1.1"` or `"1.1.0"`. Raises `ValueError` for anything else and for lines that are not supported."""
        match = re.fullmatch(r"(\d+)\.(\d+)(\.\d+)*", text)
        line = cls(int(match[1]), int(match[2])) if match else None
        if line not in SUPPORTED:
            raise ValueError(f"Spack {text!r} is not supported; supported are {', '.join(map(str, SUPPORTED))}")
        return line

    def __str__(self) -> str:
        """`1.1`."""
        return f"{self.major}.{self.minor}"

    def why_no_installer(self, installer: object) -> str:
        """Why packages cannot be built by this installer (`old` or `new`); empty if they can."""
        if not self.has(Novelty.INSTALLERS):
            since = since_of(Novelty.INSTALLERS)
            return f"a choice of installers needs Spack {since} or newer; this site builds with {self}"
        if installer == "new" and not self.has(Novelty.NEW_INSTALLER):
            since = since_of(Novelty.NEW_INSTALLER)
            return (
                f"the new installer of Spack {self} only finds packages that the index of the cache lists already, "
                f"which no pipeline has while it fills the cache; it can be used from Spack {since} on"
            )
        return ""

    def has(self, novelty: Novelty) -> bool:
        """Whether this line has what came with it or with an older one."""
        return self >= since_of(novelty)

    @property
    def recipes_apart(self) -> bool:
        """Packages live in a repository of their own."""
        return self.has(Novelty.PACKAGE_REPOSITORY)

    @property
    def compilers_are_dependencies(self) -> bool:
        """What follows `%gcc` binds to the compiler, and nodes without compiled language have none."""
        return self.has(Novelty.COMPILERS_AS_DEPENDENCIES)

    @property
    def credentials_by_variable(self) -> bool:
        """Mirrors take `access_pair` with names of variables."""
        return self.has(Novelty.ACCESS_PAIR)

    @property
    def mirrors_can_be_unsigned(self) -> bool:
        """Mirrors know the key `signed`."""
        return self.has(Novelty.SIGNED_MIRRORS)

    @property
    def pushes_privately(self) -> bool:
        """`buildcache push` knows `--private`."""
        return self.has(Novelty.PRIVATE_BINARIES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A release line: the versions of the formats that it writes, and what no older line knows.

    `is_built_with` is false for lines whose build caches can be read, but for which no pipelines are made.
    """

    line: SpackLine
    lockfile: int
    lockfile_with_groups: int | None = None
    """Where an environment has spec groups."""
    specfile: int
    database: int
    """Of the index of a build cache."""
    layout: Layout
    new: frozenset[Novelty] = frozenset()
    is_built_with: bool = True


RELEASES: Final = (
    Release(line=SpackLine(0, 18), lockfile=4, specfile=3, database=6, layout=Layout.V2, is_built_with=False),
    Release(line=SpackLine(0, 19), lockfile=4, specfile=3, database=6, layout=Layout.V2, is_built_with=False),
    Release(line=SpackLine(0, 20), lockfile=4, specfile=3, database=6, layout=Layout.V2, is_built_with=False),
    Release(line=SpackLine(0, 21), lockfile=5, specfile=4, database=7, layout=Layout.V2),
    Release(
        line=SpackLine(0, 22),
        lockfile=5,
        specfile=4,
        database=7,
        layout=Layout.V2,
        new=frozenset({Novelty.SIGNED_MIRRORS, Novelty.PRIVATE_BINARIES}),
    ),
    Release(
        line=SpackLine(0, 23),
        lockfile=5,
        specfile=4,
        database=7,
        layout=Layout.V2,
        new=frozenset({Novelty.ACCESS_PAIR}),
    ),
    Release(
        line=SpackLine(1, 0),
        lockfile=6,
        specfile=5,
        database=8,
        layout=Layout.V3,
        new=frozenset({Novelty.PACKAGE_REPOSITORY, Novelty.COMPILERS_AS_DEPENDENCIES}),
    ),
    Release(
        line=SpackLine(1, 1),
        lockfile=6,
        specfile=5,
        database=8,
        layout=Layout.V3,
        new=frozenset({Novelty.INSTALLERS, Novelty.CONCRETIZATION_CACHE}),
    ),
    Release(
        line=SpackLine(1, 2),
        lockfile=6,
        lockfile_with_groups=7,
        specfile=5,
        database=8,
        layout=Layout.V3,
        new=frozenset({Novelty.SPEC_GROUPS, Novelty.NEW_INSTALLER, Novelty.INDEX_VIEWS}),
    ),
)
"""All release lines that this project knows, in the order of their release."""

SUPPORTED: Final = tuple(one.line for one in RELEASES if one.is_built_with)
"""The lines that pipelines can be made for."""
USUAL: Final = SpackLine(1, 1)
"""The line that is meant where nobody says one: that of the site file which this project comes with."""
DEVELOPMENT_LOCKFILE: Final = 8
"""What the development of 1.3 writes: that of 7, with nodes that also say which virtual packages they provide."""
LOCKFILES: Final = tuple(
    sorted(
        {one.lockfile for one in RELEASES}
        | {one.lockfile_with_groups for one in RELEASES if one.lockfile_with_groups}
        | {DEVELOPMENT_LOCKFILE}
    )
)
"""The versions of lockfiles that can be read."""
DATABASES: Final = tuple(sorted({one.database for one in RELEASES}))
"""The versions of indexes that can be read and written."""
DATABASE_OF_SPECFILE: Final = {one.specfile: one.database for one in RELEASES}
"""Which version of the index holds nodes of which specfile version."""
SPECFILE_OF_DATABASE: Final = {database: specfile for specfile, database in DATABASE_OF_SPECFILE.items()}
"""Which specfile version the nodes of an index of this version have."""


def line_of_ref(ref: str) -> SpackLine:
    """The line that a release tag or branch of Spack names (`v1.1.0`, `releases/v0.23`). Else raises `ValueError`."""
    match = re.fullmatch(r"(?:releases/)?v(\d+\.\d+(?:\.\d+)*)", ref)
    if not match and (version := re.fullmatch(r"(releases/)?(\d+(?:\.\d+)+)", ref)):
        raise ValueError(f"{ref!r} is a version, not a tag or branch of Spack; write '{version[1] or ''}v{version[2]}'")
    if not match:
        raise ValueError(f"the Spack version cannot be told from the ref {ref!r}; add 'version: \"{USUAL}\"' beside it")
    return SpackLine.parse(match[1])


@cache
def since_of(novelty: Novelty) -> SpackLine:
    """The line that a novelty came with."""
    return next(one.line for one in RELEASES if novelty in one.new)


def databases_of(layout: Layout) -> range:
    """The versions of indexes that every line which writes a layout can read. Nodes of older ones can be upgraded.

    Registries hold whatever the release that pushed there writes.
    """
    versions = [one.database for one in RELEASES if layout in (one.layout, Layout.OCI)]
    return range(min(versions), max(versions) + 1)
