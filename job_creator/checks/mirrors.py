"""Mirrors that an environment names beside those of the site."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from typing import Any, Final

from foundation.errors import Fault
from foundation.stores.schemes import split_url
from foundation.validation import did_you_mean
from foundation.yaml_io import Location
from job_creator.checks.environment_file import EnvironmentFile
from job_creator.definitions.paths import PathKind, read_path
from job_creator.environments.marks import unmarked
from job_creator.environments.mirror_names import SITE_MIRRORS
from job_creator.site.keys import told_of
from job_creator.site.words import url_without_credentials

OF_SPACK: Final = ("file", "ftp", "gs", "http", "https", "oci", "oci+http", "s3", "sftp")
"""Schemes by which Spack reaches mirrors (lib/spack/spack/mirrors/mirror.py; v0.21: lib/spack/spack/mirror.py)."""
_CONNECTIONS: Final = ("fetch", "pull", "push")


def mirror_faults(file: EnvironmentFile) -> Iterator[Fault]:
    """Names that belong to the site, and places that only some machines have."""
    for key, mirrors in file.section.items():
        if unmarked(key) != "mirrors" or not isinstance(mirrors, Mapping):
            continue
        for name, mirror in mirrors.items():
            yield from _given_away(file, (key, name), mirror)
            if unmarked(str(name)) in SITE_MIRRORS:
                message = f"the mirror {unmarked(str(name))!r} is the site's"
                yield file.fault((key, name), message, "give yours another name", of_key=True)
            yield from _of_endpoints(file, (key, name), mirror)
    for location, url in mirror_urls(file.section):
        yield from _not_everywhere(file, location, url)


def _of_endpoints(file: EnvironmentFile, location: Location, mirror: Any) -> Iterator[Fault]:
    """What must not stand in the address of a mirror's S3 server."""
    for place, name, value in _settings(location, mirror):
        if name == "endpoint_url" and isinstance(value, str):
            try:
                url_without_credentials(value)
            except ValueError as error:
                yield file.fault(place, str(error).format(name="'endpoint_url'"))


def _given_away(file: EnvironmentFile, location: Location, mirror: Any) -> Iterator[Fault]:
    """Secrets of the site by which a mirror would be read: recipes are given the keys of all mirrors that are read."""
    secrets = file.site.secrets()
    for key, value in mirror.items() if isinstance(mirror, Mapping) else ():
        name = unmarked(str(key))
        if name == "access_pair" or (name in ("fetch", "pull") and len(location) == len(("mirrors", "name"))):
            yield from _given_away(file, (*location, key), value)
        elif name.endswith("_variable") and isinstance(value, str) and value in secrets:
            yield file.fault((*location, key), *told_of(value, secrets))


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
    for place, name, value in _settings(location, mirror):
        if name in ("url", *_CONNECTIONS) and isinstance(value, str):
            yield place, value


def _settings(location: Location, mirror: Any) -> Iterator[tuple[Location, str, Any]]:
    """What is said of a mirror and of its connections: place, name and value."""
    for key, value in mirror.items() if isinstance(mirror, Mapping) else ():
        name = unmarked(str(key))
        yield (*location, key), name, value
        if name in _CONNECTIONS and len(location) == len(("mirrors", "name")):
            yield from _settings((*location, key), value)


def _no_mirror(file: EnvironmentFile, location: Location, url: str) -> Iterator[Fault]:
    """What of a URL Spack could not reach anything by, and what must not stand in a file."""
    scheme, rest = split_url(url)
    host = rest.partition("/")[0]
    if scheme.lower() not in OF_SPACK:
        hint = did_you_mean(scheme, OF_SPACK)
        yield file.fault(location, f"Spack knows no mirrors by {scheme + '://'!r}, and takes this for a path", hint)
    elif not host or set(url) & set(" \t\n"):
        yield file.fault(location, f"{url!r} is no URL", "write it as in https://cache.example.org/folder")
    elif "$" in url:
        yield file.fault(location, f"Spack replaces nothing in URLs, so that {url!r} leads nowhere", "write it out")
    elif "@" in host and (":" in host.partition("@")[0] or scheme != "sftp"):
        hint = "remove it; 'access_pair' and 'access_token_variable' name variables that have logins"
        yield file.fault(location, f"the URL of {host.rpartition('@')[2]} has a login, which all can read here", hint)
    elif set("?#") & set(rest):
        hint = "remove it; 'access_pair' and 'access_token_variable' name variables that have logins"
        message = f"the URL of {host.partition('?')[0]} has something behind '?' or '#', where signatures stand"
        yield file.fault(location, message, hint)


def _not_everywhere(file: EnvironmentFile, location: Location, url: str) -> Iterator[Fault]:
    found = read_path(url, posixpath.dirname(file.document.path))
    if found.kind is PathKind.URL:
        yield from _no_mirror(file, location, url)
        return
    if found.kind is not PathKind.ABSOLUTE:
        message = f"the mirror {url!r} is not there where images are built"
        yield file.fault(location, message, "name one that is reached by https://, s3:// or oci://")
