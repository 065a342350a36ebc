"""Which specs somebody means: `name`, `name@version`, `/hash`, with `*` and `?` wherever there is no certainty."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Final

from foundation.errors import NotThereError, RefusedError
from foundation.spack.specs import Spec

_TEXT: Final = re.compile(r"(?P<name>[A-Za-z0-9._*?\[\]-]+)?(@=?(?P<version>[^/@\s]+))?(/(?P<hash>[a-z2-7]+))?")


def select(specs: Mapping[str, Spec], texts: Iterable[str]) -> dict[str, str]:
    """The DAG hashes of what is meant, each with the text that means it.

    Raises `RefusedError` for a text that cannot be understood or a hash that means several specs, and `NotThereError`
    for one that means none.
    """
    found: dict[str, str] = {}
    for text in texts:
        match = _TEXT.fullmatch(text)
        if not match or not text:
            raise RefusedError(f"{text!r} names no spec; write name, name@version, /hash or a pattern such as 'py-*'")
        some = [hash_ for hash_, spec in specs.items() if _fits(spec, match)]
        if not some:
            raise NotThereError(f"{text}: no such spec in the cache")
        if match["hash"] and len(some) > 1:
            raise RefusedError(f"{text}: means {len(some)} specs; write more of the hash")
        found |= dict.fromkeys(some, text)
    return found


def _fits(spec: Spec, match: re.Match[str]) -> bool:
    return (
        fnmatchcase(spec.name, match["name"] or "*")
        and fnmatchcase(spec.version, match["version"] or "*")
        and spec.hash.startswith(match["hash"] or "")
    )
