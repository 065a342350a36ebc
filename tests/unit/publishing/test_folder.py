"""The folder of a cluster: names appear whole, links move at once, others' files stay."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from foundation.errors import DamagedError, FileAccessError, RefusedError
from job_creator.publishing.clusters import sif_folder as folder
from job_creator.publishing.record import PublicationRecord
from tests.unit.publishing.records import NOW, RELEASE, branch


def recorded(content: bytes, record: PublicationRecord = RELEASE) -> PublicationRecord:
    return replace(record, size=len(content), sha256=hashlib.sha256(content).hexdigest())


def writing(content: bytes) -> Callable[[int], None]:
    def write(descriptor: int) -> None:
        os.write(descriptor, content)

    return write


def put(
    root: Path, content: bytes, record: PublicationRecord = RELEASE, modes: folder.Modes = folder.USUAL_MODES
) -> Path:
    record = recorded(content, record)
    path = folder.path_of(root, record)
    folder.install(path, record, modes, writing(content))
    return path


def names(path: Path) -> set[str]:
    return {entry.name for entry in path.iterdir()}


def test_a_file_is_installed_with_its_record(tmp_path: Path) -> None:
    path = put(tmp_path, b"content")
    assert re.fullmatch(r"neuron__9\.0\.[0-9a-f]{12}\.sif", path.name)
    assert names(path.parent) == {path.name, f"{path.name}.json"}
    (one,) = folder.installed(path.parent)
    assert (one.path, one.record, one.links) == (path, recorded(b"content"), frozenset())


@pytest.mark.parametrize("arrived", [b"CONTENT", b"conten", b"content!", b""])
def test_what_arrives_damaged_gets_no_name(tmp_path: Path, arrived: bytes) -> None:
    record = recorded(b"content")
    with pytest.raises(DamagedError, match="arrived, not 7 with"):
        folder.install(folder.path_of(tmp_path, record), record, folder.Modes(), writing(arrived))
    assert names(tmp_path / "neuron") == set()


@pytest.mark.parametrize("umask", [0o000, 0o077])
@pytest.mark.parametrize(("modes", "record"), [(folder.Modes(), 0o644), (folder.Modes(0o770, 0o750), 0o640)])
def test_modes_are_those_of_the_site_and_group_and_setgid_those_of_the_folder(
    tmp_path: Path, umask: int, modes: folder.Modes, record: int
) -> None:
    """They followed the umask of the runner, so that users could not read what a strict one installed."""
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o2711)
    before = os.umask(umask)
    try:
        path = put(shared / "below", b"content", modes=modes)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o7777 == modes.file
    assert path.with_name(f"{path.name}.json").stat().st_mode & 0o7777 == record
    assert path.parent.stat().st_mode & 0o7777 == 0o2000 | modes.folder
    assert path.parent.parent.stat().st_mode & 0o7777 == 0o2000 | modes.folder
    assert shared.stat().st_mode & 0o7777 == 0o2711, "what was there is left alone"


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_nobody_else_opens_a_file_before_it_is_whole(tmp_path: Path, umask: int) -> None:
    """With a umask of 0, as GitLab's runners have it, whoever opened it early could write to it later."""
    record, seen = recorded(b"content"), set()
    path = folder.path_of(tmp_path, record)

    def write(descriptor: int) -> None:
        seen.add(os.fstat(descriptor).st_mode & 0o7777)
        os.write(descriptor, b"content")

    before = os.umask(umask)
    try:
        folder.install(path, record, folder.USUAL_MODES, write)
    finally:
        os.umask(before)
    assert seen == {0o600}


def test_links_are_found_over_other_links_and_into_other_folders_are_not(tmp_path: Path) -> None:
    path = put(tmp_path, b"content")
    for name, target in {
        "current": path.name,
        "stable": "current",
        "absolute": str(path),
        "elsewhere": "../x",
        "loop": "loop",
        "gone": "nothing",
    }.items():
        (path.parent / name).symlink_to(target)
    assert folder.installed(path.parent)[0].links == {"current", "stable", "absolute"}


def test_a_link_moves_from_one_file_to_the_next(tmp_path: Path) -> None:
    link = tmp_path / "current"
    for target in ("a", "b", "b"):
        folder.point(link, target)
        assert str(link.readlink()) == target
    assert names(tmp_path) == {"current"}


def test_what_lies_under_another_name_than_its_record_says_is_not_ours(tmp_path: Path) -> None:
    path = put(tmp_path, b"content")
    for suffix in ("", ".json"):
        path.with_name(f"{path.name}{suffix}").rename(path.with_name(f"kept.sif{suffix}"))
    assert folder.installed(path.parent) == ()


@pytest.mark.parametrize("text", ["", "{}", "[", '{"record_version": 9}'])
def test_a_record_that_cannot_be_read_makes_its_file_nobodys(tmp_path: Path, text: str) -> None:
    path = put(tmp_path, b"content")
    path.with_name(f"{path.name}.json").write_text(text)
    assert folder.installed(path.parent) == ()


def test_a_file_in_the_place_of_a_link_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "current").write_text("of someone else's")
    with pytest.raises(RefusedError, match="is no link, and would be replaced by one"):
        folder.require_own_links(tmp_path, frozenset({"current", "neuron__9.0.sif"}))


def test_removing_takes_links_file_and_record(tmp_path: Path) -> None:
    path = put(tmp_path, b"content", branch("x"))
    other = put(tmp_path, b"other", branch("y", "9.0__y"))
    folder.point(path.with_name("neuron__9.0__branch.sif"), path.name)
    one = next(one for one in folder.installed(path.parent) if one.path == path)
    folder.unlink(one, NOW)
    assert next(one for one in folder.installed(path.parent) if one.path == path).free_since == NOW
    folder.remove(one)
    assert names(path.parent) == {other.name, f"{other.name}.json"}


def test_left_overs_are_old_temporary_files_and_records_without_file(tmp_path: Path) -> None:
    path = put(tmp_path, b"content")
    orphan = path.with_name("neuron__8.0.000000000000.sif.json")
    temporary, running = path.with_name(".installing.x.1"), path.with_name(".installing.x.2")
    for one in (orphan, temporary, running):
        one.write_text("{}")
    for one in (path, orphan, temporary):
        os.utime(one, (0, (NOW - timedelta(days=2)).timestamp()))
    os.utime(running, (0, NOW.timestamp()))
    assert set(folder.left_overs(path.parent, NOW - timedelta(days=1))) == {orphan, temporary}
    assert folder.left_overs(tmp_path / "nothing", NOW) == ()


def test_too_little_space_is_said_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(FileAccessError, match=r"are needed and [\d,]+ are free; make room"):
        folder.require_space(tmp_path / "neuron", 1 << 62)
    folder.require_space(tmp_path / "not" / "yet" / "made", 1)
    assert names(tmp_path) == set()


def test_a_folder_that_cannot_be_used_is_an_error_with_a_place(tmp_path: Path) -> None:
    (tmp_path / "neuron").write_text("a file")
    with pytest.raises(FileAccessError, match=f"{tmp_path}/neuron: "):
        put(tmp_path, b"content")
