"""Mirrors that an environment names beside those of the site."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from typing import Any, Final

from foundation.errors import Fault
from foundation.yaml_io import Location
from job_creator.checks.environment_file import EnvironmentFile
from job_creator.definitions.paths import PathKind, read_path
from job_creator.environments.marks import unmarked
from job_creator.environments.setting import SITE_MIRRORS

_CONNECTIONS: Final = ("fetch", "pull", "push")


def mirror_faults(file: EnvironmentFile) -> Iterator[Fault]:
    """Names that belong to the site, and places that only some machines have."""
    for key, mirrors in file.section.items():
        if unmarked(key) != "mirrors" or not isinstance(mirrors, Mapping):
            continue
        for name in mirrors:
            if unmarked(str(name)) in SITE_MIRRORS:
                message = f"the mirror {unmarked(str(name))!r} is the site's"
                yield file.fault((key, name), message, "give yours another name", of_key=True)
    for location, url in mirror_urls(file.section):
        yield from _not_everywhere(file, location, url)


def mirror_urls(section: Mapping[str, Any]) -> Iterator[tuple[Location, str]]:
    """Every URL of a mirror in the sections of a file, and its place seen from `spack:`."""
    for key, mirrors in section.items():
        if unmarked(key) == "mirrors" and isinstance(mirrors, Mapping):
            for name, mirror in mirrors.items():
                yield from _urls((key, name), mirror)


def _urls(location: Location, mirror: Any) -> Iterator[tuple[Location, str]]:
    """The URLs of a mirror, each in one of Spack's ways to write it (lib/spack/spack/schema/mirrors.py)."""
    if isinstance(mirror, str):
        yield location, mirror
    elif isinstance(mirror, Mapping):
        for key, value in mirror.items():
            if unmarked(str(key)) == "url" and isinstance(value, str):
                yield (*location, key), value
            elif unmarked(str(key)) in _CONNECTIONS and len(location) == len(("mirrors", "name")):
                yield from _urls((*location, key), value)


def _not_everywhere(file: EnvironmentFile, location: Location, url: str) -> Iterator[Fault]:
    found = read_path(url, posixpath.dirname(file.document.path))
    if found.kind not in (PathKind.URL, PathKind.ABSOLUTE):
        message = f"the mirror {url!r} is not there where images are built"
        yield file.fault(location, message, "name one that is reached by https://, s3:// or oci://")
