"""Folders are deleted whole, and nothing else ever is: not behind links, not on other file systems."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from foundation.doors import trees
from foundation.doors.trees import delete, measure
from foundation.errors import ExitCode, NotThereError, RefusedError
from spackitor.__main__ import main


def grown(root: Path, *, wide: int = 5, deep: int = 3) -> Path:
    """A folder of folders with files, and links that lead out of it."""
    root.mkdir()
    (root / "out").symlink_to(root.parent)
    (root / "file").write_bytes(b"x" * 10)
    for number in range(wide if deep else 0):
        grown(root / f"d{number}", wide=wide, deep=deep - 1)
    return root


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "precious").write_text("yes")
    return tmp_path / "outside"


def number_of_files(root: Path) -> int:
    """How many there are, while others may be deleted."""
    return sum(len(files) for _, _, files in os.walk(root))


def held_open(folder: Path) -> list[str]:
    """What this process has open in a folder, also where that is gone. Others may open and close what they like."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.append(str(entry.readlink()))
    return [path for path in found if path.startswith(f"{folder}")]


@pytest.mark.parametrize("workers", [1, 8])
def test_everything_in_it_goes_and_nothing_else(tmp_path: Path, outside: Path, workers: int) -> None:
    tree = grown(tmp_path / "tree")
    (tree / "d1" / "away").symlink_to(outside)
    os.link(tree / "file", tree / "d2" / "same")
    seen = measure(tree)
    folders = 1 + 5 + 25 + 125
    assert (seen.folders, seen.files, seen.size) == (folders, 2 * folders + 2, sum(seen.largest.values()))
    done = delete(seen, workers)
    assert (done.folders, done.files, done.failed) == (seen.folders, seen.files, {})
    assert not tree.exists()
    assert (outside / "precious").read_text() == "yes"
    assert held_open(tree) == []
    assert delete(seen, workers).failed == {}, "once more does nothing"


def test_a_file_with_several_names_counts_once(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "a").write_bytes(b"x" * 100)
    os.link(tree / "a", tree / "b")
    assert measure(tree).size == 100


def test_a_deep_tree_needs_few_open_files(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    descriptor = os.open(tmp_path, os.O_RDONLY)
    for name in ["tree", *["d"] * 300]:
        os.mkdir(name, dir_fd=descriptor)
        deeper = os.open(name, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = deeper
    os.close(descriptor)
    assert delete(measure(tree)).folders == 301


def test_a_link_put_in_the_place_of_a_folder_is_removed_and_not_followed(
    tmp_path: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = grown(tmp_path / "tree", deep=1)
    seen = measure(tree)
    original: Any = trees._names

    def names(descriptor: int) -> list[tuple[str, bool]]:
        found: list[tuple[str, bool]] = original(descriptor)
        if ("d3", True) in found:
            (tree / "d3").rename(tmp_path / "moved")
            (tree / "d3").symlink_to(outside)
        return found

    monkeypatch.setattr(trees, "_names", names)
    assert delete(seen).failed == {}
    assert not tree.exists()
    assert (outside / "precious").exists()
    assert (tmp_path / "moved" / "file").exists(), "what was moved out of the tree is no longer in it"


def test_another_folder_in_its_place_is_left_alone(tmp_path: Path, outside: Path) -> None:
    seen = measure(grown(tmp_path / "tree", deep=1))
    (tmp_path / "tree").rename(tmp_path / "moved")
    for other in (outside, None):
        if other:
            (tmp_path / "tree").symlink_to(other)
        else:
            (tmp_path / "tree").unlink()
            (tmp_path / "tree").mkdir()
        with pytest.raises(RefusedError, match="another one"):
            delete(seen)
    assert (outside / "precious").exists()


def test_a_killed_run_is_repeated(tmp_path: Path, outside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class KilledHereError(BaseException):
        pass

    tree = grown(tmp_path / "tree", deep=2)
    (tree / "away").symlink_to(outside)
    for after in (0, 1, 7, 20):
        left, unlink = [after], os.unlink

        def dying(name: str, *, dir_fd: int, left: list[int] = left, unlink: Any = unlink) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise KilledHereError
            unlink(name, dir_fd=dir_fd)

        with monkeypatch.context() as patch:
            patch.setattr(os, "unlink", dying)
            with pytest.raises(KilledHereError):
                delete(measure(tree), 4)
    assert delete(measure(tree)).failed == {}
    assert not tree.exists()
    assert (outside / "precious").exists()


def test_a_command_that_is_killed_is_repeated(tmp_path: Path, outside: Path) -> None:
    """For real, and some time after it began to delete; what is left goes the next time."""
    tree = grown(tmp_path / "tree", wide=9)
    (tree / "d1" / "away").symlink_to(outside)
    command = [sys.executable, "-m", "spackitor", "delete-tree", str(tree), "--workers", "2"]
    for _ in range(3):
        before = number_of_files(tree)
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            end = time.monotonic() + 30
            while process.poll() is None and number_of_files(tree) == before and time.monotonic() < end:
                time.sleep(0.001)
            process.kill()
        if not tree.exists():
            break
        again = CliRunner().invoke(main, ["delete-tree", str(tree), "--dry-run"])
        assert (again.exit_code, tree.exists()) == (ExitCode.OK, True)
    for _ in range(2):
        done = CliRunner().invoke(main, ["delete-tree", str(tree), "--may-be-missing"])
        assert done.exit_code == ExitCode.OK, done.output
    assert not tree.exists()
    assert (outside / "precious").read_text() == "yes"


def test_what_cannot_be_deleted_is_told_and_the_rest_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = grown(tmp_path / "tree", deep=1)
    (tree / "d1" / "held").touch()
    unlink = os.unlink

    def refusing(name: str, *, dir_fd: int) -> None:
        if name == "held":
            raise PermissionError(13, "Permission denied")
        unlink(name, dir_fd=dir_fd)

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", refusing)
        done = delete(measure(tree))
    assert done.failed == {f"{tree}/d1/held": "Permission denied"}
    assert sorted(str(one.relative_to(tree)) for one in tree.rglob("*")) == ["d1", "d1/held"]


def test_mounts_links_and_the_folder_one_stands_in_are_refused(
    tmp_path: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = grown(tmp_path / "tree", deep=1)
    (tmp_path / "link").symlink_to(outside)
    for path, why in ((tmp_path / "link", "is a link"), (outside / "precious", "is no folder")):
        with pytest.raises(RefusedError, match=why):
            measure(path)
    with pytest.raises(NotThereError):
        measure(tmp_path / "nothing")
    for path in (Path("/"), Path("/proc"), Path("..")):
        with pytest.raises(RefusedError):
            measure(path)
    with monkeypatch.context() as patch:
        patch.chdir(tree / "d1")
        with pytest.raises(RefusedError, match="that this runs in"):
            measure(tree)
    mounts = tmp_path / "mountinfo"
    (tree / "d 1").mkdir()
    mounts.write_text(f"36 35 98:0 / {tree}/d\\0401 rw - ext4 /dev/x rw\n")
    monkeypatch.setattr(trees, "_MOUNTS", mounts)
    with pytest.raises(RefusedError, match=r"d 1 is a mount point"):
        measure(tree)


def test_the_command_looks_at_all_first(tmp_path: Path) -> None:
    one, other = grown(tmp_path / "one", deep=1), grown(tmp_path / "other", deep=1)
    run = CliRunner()
    missing = run.invoke(main, ["delete-tree", str(one), str(tmp_path / "nothing")])
    assert (missing.exit_code, one.exists()) == (ExitCode.NOT_THERE, True)
    shown = run.invoke(main, ["delete-tree", "--dry-run", str(one)])
    assert (shown.exit_code, one.exists()) == (0, True)
    assert "12 files in 6 folders would go" in shown.output
    done = run.invoke(main, ["delete-tree", "--json", "--may-be-missing", *map(str, (one, other, tmp_path / "no"))])
    assert [value["deleted_files"] for value in json.loads(done.stdout)] == [12, 12]
    assert not one.exists()
    assert not other.exists()


def test_a_folder_below_another_goes_with_that_one(tmp_path: Path) -> None:
    one = grown(tmp_path / "one", wide=2, deep=1)
    inner = next(path for path in one.iterdir() if path.is_dir())
    named = (inner, one, one / ".." / one.name, inner)
    done = CliRunner().invoke(main, ["delete-tree", "--json", *map(str, named)])
    assert done.exit_code == ExitCode.OK, done.output
    assert [value["path"] for value in json.loads(done.stdout)] == [str(one)]
    assert not one.exists()
