"""Putting the content of a bundle into a mirror: verify all of it, compare it with the mirror, then write.

Nothing is written before the last byte was verified. Each file is then written beside the mirror's own ones, verified
once more, and renamed, in an order in which a reader never sees what leads to something before that is there. A run
that was ended anywhere leaves a mirror that is right as far as it goes, and the next one completes it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final
from uuid import uuid4

from foundation.doors.blocks import Progress, sha256
from foundation.errors import DamagedError, NotReadyError, NotThereError, RefusedError, naming
from job_creator.mirrors.bundles.bundle import KEY, LIST, SIGNATURE, Bundle, File, read_bundle
from job_creator.mirrors.bundles.merges import (
    Merge,
    bundle_id,
    content_of,
    imported,
    make_merge,
    specs_of_both,
    state_of,
)
from job_creator.mirrors.bundles.merging import is_merged
from job_creator.mirrors.contents import IMPORTS_KEY, OF_ONE_PLACE, STAGING, lists_others, sha256_in_name
from job_creator.mirrors.keys.signatures import require_signature
from job_creator.mirrors.permissions import Permissions
from job_creator.mirrors.sharing import share

_PREFIX: Final = "import-"
_LEFT_OVER_SECONDS: Final = 24 * 3600
_MOST_NAMED: Final = 5
_BLOCK: Final = 1 << 20
_NOTHING: Final = "Nothing was imported"


@dataclass(frozen=True)
class ImportPlan:
    """What an import will write: files and links that are not there or of an older state, and what is merged."""

    source: Path
    root: Path
    bundle: Bundle
    files: tuple[File, ...]
    links: Mapping[str, str]
    folders: tuple[str, ...]
    merges: tuple[Merge, ...] = ()
    kept: tuple[str, ...] = ()
    """Files that differ, and stay because this bundle, or one that adds to it, came into the mirror before."""
    specs: frozenset[str] = frozenset()
    """The DAG hashes of all binaries that mirror or bundle have."""

    @property
    def written(self) -> tuple[str, ...]:
        """The keys of all files that will be written."""
        return (*(file.key for file in self.files), *(key for merge in self.merges for key in merge.writes))

    @property
    def size(self) -> int:
        """The bytes that will be written."""
        merged = sum(len(data) for merge in self.merges for data in merge.writes.values())
        return sum(file.size for file in self.files) + merged


def open_bundle(source: Path, fingerprint: str | None) -> Bundle:
    """The list of a bundle, if it was signed by this key (or is taken without), and the parts have the right sizes.

    Raises `NotThereError`, `RefusedError`, `DamagedError` and `FileAccessError`.
    """
    place = source / LIST
    if not place.is_file():
        raise NotThereError(f"{place}: no such file; without it this is no bundle, or its export was not completed")
    if fingerprint:
        require_signature(place, source / SIGNATURE, source / KEY, fingerprint)
    with naming(place):
        bundle = read_bundle(place.read_bytes(), str(place))
    for part in bundle.parts:
        path = source / part.name
        found = path.stat().st_size if path.is_file() else None
        if found != part.size:
            is_there = "is missing" if found is None else f"has {found} bytes"
            raise DamagedError(f"{path}: {is_there}, not {part.size}; copy it again. {_NOTHING}")
    return bundle


def verify(source: Path, bundle: Bundle, progress: Progress) -> None:
    """Read everything, and hold it against the list. Raises `DamagedError` and `FileAccessError`."""
    inside = bundle.placed()
    digests = {file.key: hashlib.sha256() for file in bundle.held}
    for number, part in enumerate(bundle.parts, start=1):
        path = source / part.name
        whole = hashlib.sha256()
        done = 0
        with naming(path), path.open("rb") as stream:
            for file, piece in inside.get(number, ()):
                _feed(stream, piece.offset - done, progress, whole)
                _feed(stream, piece.size, progress, whole, digests[file.key])
                done = piece.offset + piece.size
            _feed(stream, part.size - done, progress, whole)
        if whole.hexdigest() != part.sha256:
            raise DamagedError(f"{path}: does not have the checksum of the list; copy it again. {_NOTHING}")
    for file in bundle.held:
        if digests[file.key].hexdigest() != file.sha256:
            raise DamagedError(f"{source}: {file.key} is not what the list says; export it anew. {_NOTHING}")


def compare(source: Path, bundle: Bundle, root: Path, progress: Progress, *, deep: bool) -> ImportPlan:
    """What has to be written. Nothing, if the mirror is not what the bundle can be put into.

    Of files that the bundle builds on, those that are named by their content only have to have the right size, unless
    this goes `deep`; others could be of another state. Of what a mirror and a bundle both list, nothing is taken back.
    Raises `DamagedError`, `NotReadyError`, `RefusedError` and `FileAccessError`.
    """
    files: list[File] = []
    missing: list[str] = []
    wrong: list[str] = []
    merged: list[str] = []
    kept: list[str] = []
    with naming(root):
        _require_folders(root, bundle)
        is_known = bundle_id(source) in imported(root)
        for file in bundle.files:
            if is_merged(file.key) and (file.key in OF_ONE_PLACE or _is_file(root / file.key)):
                if file.pieces and not _is_same(root / file.key, file, progress, reads=True):
                    merged.append(file.key)
                continue
            named = bool(sha256_in_name(file.key))
            is_same = _is_same(root / file.key, file, progress, reads=deep or not named or bool(file.pieces))
            if is_same is None and not file.pieces:
                missing.append(file.key)
            elif is_same is False and (named or not file.pieces):
                wrong.append(file.key)
            elif is_same is False and is_known:
                kept.append(file.key)
            elif not is_same:
                files.append(file)
        links = {key: target for key, target in bundle.links.items() if _link(root / key) != target}
        folders = tuple(key for key in bundle.folders if not (root / key).is_dir())
    if wrong:
        raise DamagedError(f"{root}: not what this bundle was made for: {_some(wrong)}. {_NOTHING}")
    if missing:
        raise NotReadyError(f"{root}: import the earlier bundles first; there is no {_some(missing)}. {_NOTHING}")
    with naming(root):
        specs = specs_of_both(root, bundle) if merged else frozenset()
        plan = ImportPlan(source, root, bundle, tuple(files), links, folders, kept=tuple(kept), specs=specs)
        merges = (_merge(plan, key) for key in merged)
        plan = replace(plan, merges=tuple(merge for merge in merges if merge.writes))
    _require_room(plan)
    return plan


def carry_out(plan: ImportPlan, permissions: Permissions, progress: Progress) -> None:
    """Write what is missing. Raises `DamagedError` if a part changed since it was verified, and `FileAccessError`."""
    with naming(plan.root):
        permissions.make_folders(plan.root, plan.root)
        staging = plan.root / STAGING
        permissions.make_folders(staging, plan.root)
        _remove_left_overs(staging)
        last = [file for file in plan.files if lists_others(file.key)]
        for file in plan.files[: len(plan.files) - len(last)]:
            _put(plan, file, staging, permissions, progress)
        for key in plan.folders:
            permissions.make_folders(plan.root / key, plan.root)
        for key, target in sorted(plan.links.items()):
            _put_link(plan.root / key, target, staging, permissions, plan.root)
        for file in last:
            _put(plan, file, staging, permissions, progress)
        for merge in plan.merges:
            # Whoever wrote it meanwhile has listed something of his own.
            current = merge
            if state_of(plan.root / merge.key) != merge.state:
                current = _merge(replace(plan, specs=specs_of_both(plan.root, plan.bundle)), merge.key)
            for key, data in current.writes.items():
                _put_bytes(plan.root / key, data, staging, permissions, plan.root)
                progress(len(data))
        known = imported(plan.root)
        both = dict.fromkeys((*known, *filter(None, [plan.bundle.since]), bundle_id(plan.source)))
        if set(both) != set(known):
            note = json.dumps({"version": 1, "bundles": list(both)}, indent=1).encode() + b"\n"
            _put_bytes(plan.root / IMPORTS_KEY, note, staging, permissions, plan.root)
        _remove_if_empty(staging)
    share(plan.root, permissions)


def _feed(stream: BinaryIO, size: int, progress: Progress, *digests: hashlib._Hash) -> None:
    while size:
        block = stream.read(min(size, _BLOCK))
        if not block:
            raise DamagedError(f"{stream.name}: became shorter while it was read. {_NOTHING}")
        for digest in digests:
            digest.update(block)
        progress(len(block))
        size -= len(block)


def _is_same(path: Path, file: File, progress: Progress, *, reads: bool) -> bool | None:
    """Whether a file is there as it should be; `None` if nothing is there."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        progress(file.size)
        return None
    if stat.S_ISDIR(status.st_mode):
        raise RefusedError(f"{path}: is a folder, and a file in the bundle. {_NOTHING}")
    if not stat.S_ISREG(status.st_mode) or status.st_size != file.size:
        progress(file.size)
        return False
    if not reads:
        progress(file.size)
        return True
    return sha256(path, progress) == file.sha256


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _link(path: Path) -> str | None:
    """What a link leads to; `None` if there is nothing, or a file that gives way to the link."""
    if path.is_symlink():
        return str(path.readlink())
    if path.is_dir():
        raise RefusedError(f"{path}: is a folder, and a link in the bundle. {_NOTHING}")
    return None


def _require_folders(root: Path, bundle: Bundle) -> None:
    """Nothing is written through links, nor below what is no folder."""
    inside = (*bundle.files_and_links, *(f"{key}/x" for key in bundle.folders), f"{STAGING}x")
    for parent in sorted({parent for key in inside for parent in PurePosixPath(key).parents}):
        path = root / parent
        is_other = path.is_symlink() and parent != PurePosixPath()
        if is_other or (path.exists() and not path.is_dir()):
            raise RefusedError(f"{path}: is no folder, and links are not followed. {_NOTHING}")


def _require_room(plan: ImportPlan) -> None:
    place = plan.root.absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if plan.size > free:
        raise RefusedError(f"{place}: has room for {free} bytes, and {plan.size} are to be written. {_NOTHING}")


def _put(plan: ImportPlan, file: File, staging: Path, permissions: Permissions, progress: Progress) -> None:
    path = plan.root / file.key
    permissions.make_folders(path.parent, plan.root)
    handle, name = tempfile.mkstemp(dir=staging, prefix=_PREFIX)
    digest = hashlib.sha256()
    with os.fdopen(handle, "wb") as stream:
        for block in content_of(plan.source, plan.bundle, file):
            digest.update(block)
            stream.write(block)
            progress(len(block))
    if digest.hexdigest() != file.sha256:
        raise DamagedError(f"{plan.source}: {file.key} changed since it was verified; import the bundle again")
    permissions.of_file(Path(name), path.parent)
    Path(name).replace(path)


def _put_bytes(path: Path, data: bytes, staging: Path, permissions: Permissions, root: Path) -> None:
    permissions.make_folders(path.parent, root)
    handle, name = tempfile.mkstemp(dir=staging, prefix=_PREFIX)
    with os.fdopen(handle, "wb") as stream:
        stream.write(data)
    permissions.of_file(Path(name), path.parent)
    Path(name).replace(path)


def _merge(plan: ImportPlan, key: str) -> Merge:
    return make_merge(plan.source, plan.bundle, plan.root, key, plan.specs)


def _put_link(path: Path, target: str, staging: Path, permissions: Permissions, root: Path) -> None:
    permissions.make_folders(path.parent, root)
    new = staging / f"{_PREFIX}{uuid4().hex}"
    new.symlink_to(target)
    permissions.of_link(new)
    new.replace(path)


def _remove_left_overs(staging: Path) -> None:
    """Files of imports that were ended. Those of today may belong to one that goes on."""
    for path in staging.glob(f"{_PREFIX}*"):
        with suppress(FileNotFoundError):
            if time.time() - path.lstat().st_mtime > _LEFT_OVER_SECONDS:
                path.unlink()


def _remove_if_empty(staging: Path) -> None:
    """Remove the staging folder, but not if another import, or a download, still has its files there."""
    for folder in (staging, staging.parent):
        with suppress(OSError):
            folder.rmdir()


def _some(keys: list[str]) -> str:
    """A few of many names, and how many there are."""
    named = ", ".join(keys[:_MOST_NAMED])
    return named if len(keys) <= _MOST_NAMED else f"{named} and {len(keys) - _MOST_NAMED} more"
