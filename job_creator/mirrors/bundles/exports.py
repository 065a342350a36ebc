"""Writing a bundle: look, lay out, write the parts, look again, and write the list last.

A run that was ended leaves parts without a list, which nobody can import. The next one keeps those that are right.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from foundation.doors.blocks import Progress, read, sha256
from foundation.errors import DamagedError, NotReadyError, RefusedError, naming
from job_creator.mirrors.bundles.bundle import KEY, LIST, SIGNATURE, Bundle, File, Part, Piece, part_name
from job_creator.mirrors.bundles.folder import FolderSurvey, changed, look
from job_creator.mirrors.bundles.parts import Member, ending, lay_out, offsets
from job_creator.mirrors.contents import order, sha256_in_name
from job_creator.mirrors.keys.signatures import Signer

_PARTIAL: Final = ".partial"


@dataclass(frozen=True)
class ExportPlan:
    """What each part will hold. `known` are checksums that had to be known before anything is written."""

    root: Path
    survey: FolderSurvey
    parts: tuple[tuple[Member, ...], ...]
    known: Mapping[str, str]
    since: str


def require_usable(out: Path, root: Path) -> None:
    """Whether a bundle of a mirror may be written into a folder. Raises `RefusedError`."""
    if out.resolve().is_relative_to(root.resolve()):
        raise RefusedError(f"{out}: lies in the mirror itself; name a folder outside")
    if (out / LIST).exists():
        raise RefusedError(f"{out / LIST}: there is a bundle already; name another folder, or remove that one")


def make_plan(
    root: Path, survey: FolderSurvey, most: int, since: tuple[Bundle, str] | None, progress: Progress
) -> ExportPlan:
    """Decide which files go where; `most` bytes go into a part. `since` is an earlier list, with its checksum.

    Raises `NotReadyError` and `FileAccessError`.
    """
    before = {file.key: file for file in since[0].files} if since else {}
    maybe_same = [key for key, seen in survey.files.items() if key in before and before[key].size == seen.size]
    known = _known(root, maybe_same, progress)
    same = {key for key in maybe_same if known[key] == before[key].sha256}
    parts = lay_out({key: seen.size for key, seen in survey.files.items() if key not in same}, most)
    # A file in several parts is never read in one go again.
    cut = {member.key for members in parts for member in members if member.number}
    known |= _known(root, sorted(cut - known.keys()), progress)
    return ExportPlan(root, survey, parts, known, since[1] if since else "")


def export(plan: ExportPlan, out: Path, signer: Signer | None, progress: Progress) -> Bundle:
    """Write parts, key, signature and list.

    Raises `NotReadyError` if somebody changes the mirror meanwhile, `DamagedError` if a file is not what its name says,
    and `FileAccessError`.
    """
    with naming(out):
        out.mkdir(parents=True, exist_ok=True)
        for name in (SIGNATURE, KEY):
            (out / name).unlink(missing_ok=True)
        if signer:
            signer.write_key(out / KEY)
        checksums = dict(plan.known)
        parts = tuple(
            Part(part_name(number), *_write_part(out / part_name(number), plan, members, checksums, progress))
            for number, members in enumerate(plan.parts, start=1)
        )
        if look(plan.root) != plan.survey:
            raise NotReadyError(changed(plan.root))
        bundle = _bundle(plan, parts, checksums)
        _remove_stale(out, {part.name for part in parts})
        partial = out / f"{LIST}{_PARTIAL}"
        _write(partial, iter([bundle.as_json()]))
        if signer:
            signer.sign(partial, out / SIGNATURE)
        partial.replace(out / LIST)
    return bundle


def _known(root: Path, keys: Iterable[str], progress: Progress) -> dict[str, str]:
    result: dict[str, str] = {}
    with naming(root):
        for key in keys:
            try:
                result[key] = sha256(root / key, progress)
            except FileNotFoundError:
                raise NotReadyError(changed(root / key)) from None
            _require_named(root, key, result[key])
    return result


def _require_named(root: Path, key: str, found: str) -> None:
    named = sha256_in_name(key)
    if named and found != named:
        raise DamagedError(
            f"{root / key}: is not what its name says; 'jc mirror verify {root}' tells what else is wrong"
        )


def _bundle(plan: ExportPlan, parts: tuple[Part, ...], checksums: Mapping[str, str]) -> Bundle:
    pieces: dict[str, list[Piece]] = {}
    for number, members in enumerate(plan.parts, start=1):
        for member, offset in zip(members, offsets(members), strict=True):
            pieces.setdefault(member.key, []).append(Piece(number, offset, member.size))
    files = tuple(
        File(key, plan.survey.files[key].size, checksums[key], tuple(pieces.get(key, ())))
        for key in sorted(plan.survey.files, key=order)
    )
    return Bundle(files, parts, plan.survey.links, plan.survey.folders, plan.since)


def _write_part(
    path: Path, plan: ExportPlan, members: tuple[Member, ...], checksums: dict[str, str], progress: Progress
) -> tuple[int, str]:
    """Write one part, unless a run that was ended left the right one. Returns its size and checksum."""
    if path.exists():
        wanted = _consume(_content(plan, members, checksums, lambda _: None), lambda _: None)
        if wanted == (path.stat().st_size, sha256(path)):
            progress(sum(member.size for member in members))
            return wanted
    partial = path.with_name(f"{path.name}{_PARTIAL}")
    written = _write(partial, _content(plan, members, checksums, progress))
    partial.replace(path)
    return written


def _write(path: Path, blocks: Iterator[bytes]) -> tuple[int, str]:
    """Write a file so that it is there even if the power fails, or the stick is pulled, right afterwards."""
    with path.open("wb") as stream:
        written = _consume(blocks, stream.write)
        stream.flush()
        os.fsync(stream.fileno())
    return written


def _consume(blocks: Iterator[bytes], sink: Callable[[bytes], object]) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    for block in blocks:
        digest.update(block)
        size += len(block)
        sink(block)
    return size, digest.hexdigest()


def _content(
    plan: ExportPlan, members: tuple[Member, ...], checksums: dict[str, str], progress: Progress
) -> Iterator[bytes]:
    """A part, block by block; the checksums of the files that are whole in it go to `checksums`."""
    size = 0
    for member in members:
        digest = hashlib.sha256()
        yield member.header()
        try:
            for block in read(plan.root / member.key, member.start, member.size):
                digest.update(block)
                yield block
                progress(len(block))
        except (EOFError, FileNotFoundError):
            raise NotReadyError(changed(plan.root / member.key)) from None
        yield member.padding()
        size += len(member.header()) + member.size + len(member.padding())
        if not member.number:
            checksums[member.key] = digest.hexdigest()
            _require_named(plan.root, member.key, checksums[member.key])
    yield ending(size)


def _remove_stale(out: Path, parts: set[str]) -> None:
    """What earlier runs left that were ended."""
    for path in (*out.glob("part-*.tar"), *out.glob(f"part-*.tar{_PARTIAL}")):
        if path.name not in parts:
            path.unlink()
