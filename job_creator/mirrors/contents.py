"""Which files of a mirror are carried to other sites, how they may be called, and in which order they appear. Pure."""

from __future__ import annotations

import re
from typing import Final

from foundation.spack.source_needs import NEEDS_FOLDER
from foundation.stores.store import SPACKITOR_FOLDER as SPACKITOR_FOLDER
from foundation.stores.store import STAGING_FOLDER

STAGING: Final = STAGING_FOLDER

_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_TEMPORARY: Final = re.compile(r"\.spackitor-.*|\.[0-9a-f]{32}\.link")
"""What is about to be renamed: by stores, and links."""
_LONGEST_KEY: Final = 4096
_NAMED_BY_CONTENT: Final = re.compile(
    r"(?:.*/)?(?:blobs/sha256|_source-cache/archive)/[0-9a-f]{2}/(?P<sha256>[0-9a-f]{64})(?:\.[^/]+)?"
)
"""Blobs (layout v3) and archives (lib/spack/spack/mirrors/layout.py of Spack 1.1) carry their checksum in the name."""
_LEADS_TO_OTHERS: Final = re.compile(
    r"(?:.*/)?(?:v3/manifests/.*|build_cache/[^/]*\.spec\.json(?:\.sig)?|objects/pack/[^/]*\.idx|bootstrap/metadata/.*)"
)
_LISTS_OTHERS: Final = re.compile(
    r"(?:.*/)?(?:v3/manifests/index/.*|v3/manifests/key/keys\.manifest\.json|build_cache/index\.json(?:\.hash)?"
    r"|recipes/[^/]+/(?!objects/(?!info/)).*|\.spacktainers/.*)"
)
_OTHER_FOLDERS: Final = frozenset({"blobs", "v3", "build_cache", "recipes", "bootstrap"})
"""Of a mirror, where binaries, git repositories and what Spack starts from lie."""


def is_carried(key: str) -> bool:
    """Whether a file belongs to what a bundle takes along: not what is unfinished, nor notes about this very mirror."""
    is_own = key in OF_ONE_PLACE or key.startswith((STAGING, SPACKITOR_FOLDER))
    return not is_own and not _TEMPORARY.fullmatch(key.rpartition("/")[2])


def sha256_in_name(key: str) -> str:
    """The checksum that a file must have because its name says so; empty if the name says nothing."""
    match = _NAMED_BY_CONTENT.fullmatch(key)
    return match["sha256"] if match else ""


def lists_others(key: str) -> bool:
    """Whether this is an index or the like, which comes last of all."""
    return bool(_LISTS_OTHERS.fullmatch(key))


def order(key: str) -> tuple[int, str]:
    """Sorts keys so that a reader never sees what leads to something before that is there."""
    if lists_others(key):
        return 2, key
    return (1 if _LEADS_TO_OTHERS.fullmatch(key) else 0), key


def why_no_key(key: str) -> str:
    """Why something of this name cannot be in a mirror; empty if it can."""
    if not key or len(key) > _LONGEST_KEY:
        return "has no name of a usable length"
    if _UNPRINTABLE.search(key):
        return "has control characters, or what is no UTF-8, in its name"
    if any(step in ("", ".", "..") for step in key.split("/")):
        return "leads out of the mirror"
    return ""


def why_no_link(key: str, target: str) -> str:
    """Why a link cannot be carried; empty if it can.

    After a name no `..` may follow: if the name were a link itself, that would be the parent of what it leads to.
    """
    steps = target.split("/")
    up = next((index for index, step in enumerate(steps) if step != ".."), len(steps))
    if not target or _UNPRINTABLE.search(target) or target.startswith("/") or up > key.count("/"):
        return f"leads out of the mirror (to {target!r})"
    if any(step in ("", ".", "..") for step in steps[up:]):
        return f"leads on a crooked way (to {target!r})"
    return ""


def why_no_source(key: str, sha256: str) -> str:
    """Why a source cannot be put there, which has this checksum if any; empty if it can.

    Recipes say where their sources belong. They may not put anything else into a mirror, nor something under the name
    of an archive that others verify by its name.
    """
    if fault := why_no_key(key):
        return fault
    if key.startswith(".") or key.partition("/")[0] in _OTHER_FOLDERS or "/" not in key:
        return "is no place for sources"
    if sha256_in_name(key) not in ("", sha256):
        return "is named by another checksum than the recipe has for it"
    return ""


RUNS: Final = f"{SPACKITOR_FOLDER}runs/"
"""The records of cleanings."""
VERIFIED_KEY: Final = f"{NEEDS_FOLDER}verified.json"
"""Which files were read and found right, with what tells whether they were changed since."""
IMPORTS_KEY: Final = f"{NEEDS_FOLDER}imports.json"
"""The sha256 of the lists of all bundles that came into this mirror, or that these were made to add to."""
OF_ONE_PLACE: Final = {VERIFIED_KEY, IMPORTS_KEY}
"""What says something of one mirror only, and stays there."""
COMMITS_KEY: Final = f"{NEEDS_FOLDER}recipes.json"
"""Which commits the repositories were filled for, the latest one first: `{"spack": [...], "packages": [...]}`."""
