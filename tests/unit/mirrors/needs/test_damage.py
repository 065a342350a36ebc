"""Sources that are there and wrong: read once, and again when that is asked for."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from foundation.spack.source_needs import PackageNeeds, Source, SourceKind, SourceNeeds
from foundation.stores.folder import FileSystemStore
from job_creator.mirrors.contents import VERIFIED_KEY
from job_creator.mirrors.needs.damage import CheckedPlan, check, verified_as_json
from job_creator.mirrors.needs.plan import MirrorItem, MirrorPlan, Status

KEY = "_source-cache/archive/ab/ab.tar.gz"


def checked(root: Path, *, again: bool = False, remember: bool = False) -> CheckedPlan:
    store = FileSystemStore(root)
    source = Source(SourceKind.ARCHIVE, (), hashlib.sha256(b"right").hexdigest(), KEY)
    package = PackageNeeds("h", "", "a", "1", "builtin", (source,))
    item = MirrorItem((package,), source, KEY, Status.PRESENT, 5)
    found = check(MirrorPlan(SourceNeeds({"h": package}), (item,)), store, again=again)
    if remember and found.is_news:
        store.write(VERIFIED_KEY, verified_as_json(found.verified))
    return found


def statuses(found: CheckedPlan) -> list[Status]:
    return [item.status for item in found.plan.items]


def test_a_wrong_file_is_not_present_and_a_right_one_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / KEY
    path.parent.mkdir(parents=True)
    path.write_bytes(b"wrong")
    assert statuses(checked(tmp_path)) == [Status.MISSING]
    path.write_bytes(b"right")
    assert checked(tmp_path, remember=True).is_news
    assert not checked(tmp_path).is_news

    # A disk that forgets leaves no other trace.
    before = path.stat()
    path.write_bytes(b"wrong")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert statuses(checked(tmp_path)) == [Status.PRESENT]
    assert statuses(checked(tmp_path, again=True, remember=True)) == [Status.MISSING]
    assert statuses(checked(tmp_path)) == [Status.MISSING]
    os.utime(path)
    assert statuses(checked(tmp_path)) == [Status.MISSING]
