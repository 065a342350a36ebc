"""The one table of URL schemes: what kind of place each of them leads to, and what such a place can hold. Pure.

No other module of this project spells a scheme; `tests/unit/test_structure.py` holds that. What opens a place of each
kind is in `foundation.stores.opening` and, for registries, `foundation.registries.repository`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote, urlsplit


@dataclass(frozen=True, slots=True)
class PlaceKind:
    """A kind of place for mirrors and build caches."""

    name: str
    """For messages, after "a"."""
    can_be_filled: bool = True
    """Otherwise it can only be read."""
    holds_sources: bool = True
    """Besides binaries, which every kind holds."""
    holds_repositories: bool = False
    """Whether git and Spack's bootstrap can read there what was put there."""
    has_groups: bool = False
    """Whether files there belong to a group."""


FOLDER: Final = PlaceKind("folder", holds_repositories=True, has_groups=True)
BUCKET: Final = PlaceKind("bucket")
WEB_SERVER: Final = PlaceKind("web server", can_be_filled=False)
REGISTRY: Final = PlaceKind("registry", holds_sources=False)

SCHEMES: Final[Mapping[str, PlaceKind]] = {
    "": FOLDER,
    "file": FOLDER,
    "s3": BUCKET,
    "http": WEB_SERVER,
    "https": WEB_SERVER,
    "oci": REGISTRY,
    "oci+http": REGISTRY,
}
"""A path without a scheme is a folder. `oci+http` (since Spack 1.1) is a registry that is spoken to by plain HTTP."""
_PLAIN_REGISTRY: Final = "oci+http"
_LITERAL: Final = "/!$&'()*+,;=:@"
"""What stands for itself in the path of a URL (RFC 3986, "Path"), besides letters and digits."""


def split_url(url: str) -> tuple[str, str]:
    """The scheme of a URL, which is empty for a path, and the rest behind `://`."""
    scheme, mark, rest = url.partition("://")
    return (scheme, rest) if mark else ("", url)


def kind_of(url: str) -> PlaceKind | None:
    """What a URL or a path leads to; `None` for a scheme that is not in the table."""
    return SCHEMES.get(split_url(url)[0])


def is_plain_registry(url: str) -> bool:
    """Whether a registry is spoken to by plain HTTP."""
    return split_url(url)[0] == _PLAIN_REGISTRY


def bucket_url(bucket: str, key: str = "") -> str:
    """`s3://bucket/key`, without a slash at the end."""
    return f"s3://{bucket}/{key}".rstrip("/")


def registry_url(repository: str) -> str:
    """`oci://host/repository` of a repository as references name it."""
    return f"oci://{repository}"


def folder_url(path: str) -> str:
    """`file:///path` of an absolute path."""
    return f"file://{quote(path, safe=_LITERAL, errors='surrogateescape')}"


def path_of(url: str) -> str:
    """The path of a folder, from its URL or as it is."""
    return unquote(urlsplit(url).path) if split_url(url)[0] else url
