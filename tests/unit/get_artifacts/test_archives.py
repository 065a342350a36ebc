"""Archives from anybody."""

from __future__ import annotations

import io
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foundation.errors import DamagedError, RefusedError
from get_artifacts.archives import UnpackLimits, crc_of, is_path_chosen, read_directory, unpack, verify

REGULAR = stat.S_IFREG | 0o644
EVERYTHING = ("**",)


def archive(folder: Path, entries: Iterable[tuple[str, bytes, int]], method: int = zipfile.ZIP_DEFLATED) -> Path:
    """An archive of names, contents and Unix modes."""
    path = folder / "archive.zip"
    with zipfile.ZipFile(path, "w", method) as opened:
        for name, content, mode in entries:
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            entry.compress_type = method
            opened.writestr(entry, content)
    return path


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def unpacked(path: Path, *globs: str, root: str = "root", limits: UnpackLimits | None = None) -> dict[str, bytes]:
    unpack(path, path.parent / "out", root, globs or EVERYTHING, limits or UnpackLimits())
    return files(path.parent / "out")


def test_only_what_is_chosen_is_unpacked(tmp_path: Path) -> None:
    names = ["root/a.yaml", "root/b.yaml", "root/c.json", "root/sub/d.yaml", "elsewhere/e.yaml"]
    path = archive(tmp_path, [(name, name.encode(), REGULAR) for name in names])
    assert unpacked(path, "root/*.yaml") == {"a.yaml": b"root/a.yaml", "b.yaml": b"root/b.yaml"}


@pytest.mark.parametrize(
    ("glob", "chosen"),
    [
        ("**", ["a.yaml", "r/b.yaml", "r/s/c.yaml"]),
        ("*.yaml", ["a.yaml"]),
        ("*/*.yaml", ["r/b.yaml"]),
        ("**/*.yaml", ["a.yaml", "r/b.yaml", "r/s/c.yaml"]),
        ("r/**", ["r/b.yaml", "r/s/c.yaml"]),
        ("r/?.yaml", ["r/b.yaml"]),
        ("r/b?yaml", ["r/b.yaml"]),
        ("r/s", []),
        ("[ar].yaml", []),
    ],
)
def test_globs(glob: str, chosen: list[str]) -> None:
    assert [name for name in ["a.yaml", "r/b.yaml", "r/s/c.yaml"] if is_path_chosen(name, [glob])] == chosen


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../x", "a/../../x", "a/./b", "a//b", "..", ".", "root/../../x", "a/.."]
)
def test_paths_that_are_not_within_a_folder_are_refused(tmp_path: Path, name: str) -> None:
    path = archive(tmp_path, [("root/fine", b"", REGULAR), (name, b"bad", REGULAR)])
    with pytest.raises(RefusedError, match="no path within a folder"):
        unpacked(path, "root/fine")
    assert {one.name for one in tmp_path.iterdir()} == {"archive.zip"}


@pytest.mark.parametrize(
    "links",
    [
        {"root/a": "/etc"},
        {"root/a": "../x"},
        {"root/sub/a": "../../x"},
        {"root/a": ""},
        {"root/p/q/one": "../..", "root/p/q/two": "one/../secret"},
        {"root/one": "sub", "root/two": "one/../../x"},
    ],
)
def test_links_that_leave_the_folder_are_refused(tmp_path: Path, links: dict[str, str]) -> None:
    path = archive(tmp_path, [(name, target.encode(), stat.S_IFLNK | 0o777) for name, target in links.items()])
    with pytest.raises(RefusedError, match="may leave the folder"):
        unpacked(path)
    assert {one.name for one in tmp_path.iterdir()} == {"archive.zip"}


def test_links_within_the_folder_are_kept(tmp_path: Path) -> None:
    entries = [("root/sub/file", b"content", REGULAR), ("root/sub/link", b"file", stat.S_IFLNK | 0o777)]
    entries += [("root/up/link", b"../sub/file", stat.S_IFLNK | 0o777)]
    found = unpack(archive(tmp_path, entries), tmp_path / "out", "root", EVERYTHING, UnpackLimits())
    assert (tmp_path / "out/sub/link").readlink() == Path("file")
    assert (tmp_path / "out/up/link").read_bytes() == b"content"
    assert all(crc_of(tmp_path / "out" / one.name) == one.crc for one in found)


_STEP = st.sampled_from(["a", "b", "c", "..", "."])
_PATHS = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3).map("/".join)
_TARGETS = st.lists(_STEP, min_size=1, max_size=5).map("/".join)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(links=st.dictionaries(_PATHS, _TARGETS, max_size=5), plain=st.sets(_PATHS, max_size=4))
def test_no_set_of_links_leads_out(
    tmp_path_factory: pytest.TempPathFactory, links: dict[str, str], plain: set[str]
) -> None:
    """Whatever links point to by way of other links, the real path is in the folder."""
    folder = tmp_path_factory.mktemp("links")
    entries = [(name, target.encode(), stat.S_IFLNK | 0o777) for name, target in links.items()]
    entries += [(name, b"x", REGULAR) for name in plain if name not in links]
    try:
        unpack(archive(folder, entries), folder / "out", "root", EVERYTHING, UnpackLimits())
    except RefusedError:
        return
    inside = os.path.realpath(folder / "out")
    for name in links:
        real = os.path.realpath(folder / "out" / name)
        assert real == inside or real.startswith(f"{inside}/"), (links, name, real)


def test_names_that_are_there_twice_are_refused(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = archive(tmp_path, [("a", b"1", REGULAR), ("a", b"2", REGULAR)])
    with pytest.raises(RefusedError, match="'a' is there twice"):
        unpacked(path)
    for pair in (("a", "root/a"), ("root/a/b", "root/a")):
        path = archive(tmp_path, [(name, b"", REGULAR) for name in pair])
        with pytest.raises(RefusedError, match="is there twice"):
            unpacked(path)


def test_bombs_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    path = archive(tmp_path, [("root/zeros", bytes(20 << 20), REGULAR)])
    assert path.stat().st_size < 1 << 20
    with pytest.raises(RefusedError, match=r"unpacks to 20,971,520 bytes, 1,048,576 are allowed; see --max-unpacked"):
        unpacked(path, limits=UnpackLimits(max_bytes=1 << 20))
    path = archive(tmp_path, [(f"root/{number}", b"", REGULAR) for number in range(101)])
    with pytest.raises(RefusedError, match=r"holds 101 files .* 100 files are allowed; see --max-files"):
        unpacked(path, limits=UnpackLimits(max_files=100))
    assert not (tmp_path / "out").exists()
    assert len(read_directory(path, UnpackLimits(max_files=101))) == 101


def test_a_directory_that_counts_wrong_cannot_fill_memory(tmp_path: Path) -> None:
    path = archive(tmp_path, [(f"root/{number:0200}", b"", REGULAR) for number in range(500)])
    content = bytearray(path.read_bytes())
    end = content.rfind(b"PK\x05\x06")
    struct.pack_into("<2H", content, end + 8, 1, 1)
    path.write_bytes(content)
    with pytest.raises(RefusedError, match="holds 1 files"):
        read_directory(path, UnpackLimits(max_files=100))


def test_sizes_that_lie_do_not_help(tmp_path: Path) -> None:
    """The directory promises ten bytes; the stream has a million."""
    path = archive(tmp_path, [("root/zeros", bytes(1_000_000), REGULAR)])
    content = bytearray(path.read_bytes())
    start = content.rfind(b"PK\x01\x02")
    struct.pack_into("<L", content, start + 24, 10)
    path.write_bytes(content)
    with pytest.raises(DamagedError):
        unpacked(path, limits=UnpackLimits(max_bytes=100))
    assert sum(len(one) for one in files(tmp_path / "out").values()) <= 10


def test_counts_that_need_a_larger_record_are_read_there(tmp_path: Path) -> None:
    """From 65,535 files or 4 GB on, numbers are in the zip64 record."""
    path = archive(tmp_path, [(f"{number}", b"", REGULAR) for number in range(50)])
    content = path.read_bytes()
    end = content.rfind(b"PK\x05\x06")
    size, start = struct.unpack_from("<2L", content, end + 12)
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 50, 50, size, start)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, end, 1)
    marks = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    path.write_bytes(content[:end] + record + locator + marks)
    with pytest.raises(RefusedError, match="holds 50 files"):
        read_directory(path, UnpackLimits(max_files=49))
    assert len(read_directory(path, UnpackLimits(max_files=50))) == 50


@pytest.mark.parametrize(
    ("mode", "expected"), [(0o100755, 0o755), (0o104777, 0o755), (0o100644, 0o644), (0o100000, 0o644), (0, 0o644)]
)
def test_of_modes_only_whether_it_can_be_executed_is_kept(tmp_path: Path, mode: int, expected: int) -> None:
    before = os.umask(0o022)
    try:
        unpacked(archive(tmp_path, [("root/file", b"", mode)]))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "out/file").stat().st_mode) == expected


@pytest.mark.parametrize("kind", [stat.S_IFIFO, stat.S_IFCHR, stat.S_IFSOCK])
def test_devices_and_pipes_are_refused(tmp_path: Path, kind: int) -> None:
    with pytest.raises(RefusedError, match="neither file nor folder nor link"):
        unpacked(archive(tmp_path, [("root/file", b"", kind | 0o644)]))


def test_methods_that_the_runner_does_not_use_are_refused(tmp_path: Path) -> None:
    path = archive(tmp_path, [("root/file", b"x" * 1000, REGULAR)], zipfile.ZIP_LZMA)
    with pytest.raises(DamagedError, match="packed in a way"):
        unpacked(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_is_found_or_harmless(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Whatever bit flips and wherever the end is: an error of ours, or exactly what was packed."""
    folder = tmp_path_factory.mktemp("damage")
    original = {"root/a": b"some content " * 20, "root/b": bytes(range(10))}
    path = archive(folder, [(name, content, REGULAR) for name, content in original.items()])
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content[: data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))])
    try:
        found = unpacked(path)
    except (DamagedError, RefusedError):
        return
    assert sorted(found.values()) == sorted(original.values()) or len(found) < 2


def test_verifying_reads_everything(tmp_path: Path) -> None:
    path = archive(tmp_path, [("a", b"x" * 1000, REGULAR)], zipfile.ZIP_STORED)
    verify(path, UnpackLimits())
    content = path.read_bytes()
    path.write_bytes(content.replace(b"xxx", b"xyx", 1))
    assert read_directory(path, UnpackLimits()) == ("a",)
    with pytest.raises(DamagedError):
        verify(path, UnpackLimits())


@given(st.binary())
def test_checksums_are_those_of_archives(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("crc") / "file"
    path.write_bytes(content)
    assert crc_of(path) == zlib.crc32(content)
    with zipfile.ZipFile(io.BytesIO(), "w") as opened:
        opened.write(path, "x")
        assert crc_of(path) == opened.getinfo("x").CRC
