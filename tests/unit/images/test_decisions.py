"""Fingerprints and decisions."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.doors.files import list_files, write_files
from foundation.errors import FileAccessError
from foundation.fingerprints import files_fingerprint, fingerprint
from job_creator.images.decisions import Action, compare_labels


def folder_fingerprint(folder: Path) -> str:
    return files_fingerprint(list_files(folder))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "builder"
    (folder / "sub").mkdir(parents=True)
    (folder / "Dockerfile").write_text("FROM x\n")
    (folder / "sub" / "binary").write_bytes(b"\xff\xfe\x00")
    (folder / ".hidden").write_text("x")
    (folder / "link").symlink_to("Dockerfile")
    return folder


def test_every_change_of_a_folder_changes_its_fingerprint(folder: Path) -> None:
    """D19: names, modes, dotfiles, sub-folders and binary files did not count or broke it."""
    seen = {folder_fingerprint(folder)}

    def changed() -> bool:
        before = len(seen)
        seen.add(folder_fingerprint(folder))
        return len(seen) > before

    assert not changed()
    (folder / "sub" / "binary").write_bytes(b"\xff\xfe\x01")
    assert changed()
    (folder / ".hidden").write_text("y")
    assert changed()
    (folder / ".hidden").rename(folder / ".other")
    assert changed()
    (folder / "Dockerfile").chmod(0o755)
    assert changed()
    (folder / "link").unlink()
    (folder / "link").symlink_to("sub")
    assert changed()


def test_the_umask_of_a_checkout_does_not_count(folder: Path) -> None:
    before = folder_fingerprint(folder)
    (folder / "Dockerfile").chmod(0o600)
    assert folder_fingerprint(folder) == before


def test_the_fingerprint_of_values_is_fixed() -> None:
    """A change here rebuilds every image of every site; it must be meant."""
    assert fingerprint({"b": "2", "a": "1"}) == "21f76dfbfe6dfe21f762080ef484112cf2952974cef30741fd1931e1c6d92112"


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=5))
def test_fingerprints_do_not_depend_on_order_and_differ_otherwise(values: dict[str, str]) -> None:
    assert fingerprint(values) == fingerprint(dict(reversed(values.items())))
    assert fingerprint(values) != fingerprint({**values, "one more": ""})


def test_equal_labels_mean_up_to_date_whatever_else_there_is() -> None:
    assert compare_labels({"a": "1"}, {"a": "1", "b": "2"}) == (Action.REUSE, "published and up to date")


def test_a_difference_is_named() -> None:
    expected = {"org.x.spack_commit": "b" * 40, "org.x.version": "2"}
    published = {"org.x.spack_commit": "a" * 40, "org.x.version": "1"}
    assert compare_labels(expected, published) == (
        Action.BUILD,
        "spack_commit is aaaaaaaaaaaa, not bbbbbbbbbbbb; version is 1, not 2",
    )


def test_missing_images_and_missing_labels_are_no_errors() -> None:
    """D22: a missing label or an image without labels ended in a traceback."""
    assert compare_labels({"a": "1"}, None) == (Action.BUILD, "not published yet")
    assert compare_labels({"a": "1"}, {}) == (Action.BUILD, "a is not recorded, not 1")


def test_files_appear_whole_and_left_overs_of_earlier_runs_go(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_files(out, {"a.yaml": b"1", "b.yaml": b"1"})
    (out / "mine.txt").write_text("x")
    write_files(out, {"a.yaml": b"2"}, stale="*.yaml")
    assert {path.name: path.read_bytes() for path in out.iterdir()} == {"a.yaml": b"2", "mine.txt": b"x"}


def test_a_folder_that_cannot_be_written_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(FileAccessError, match="file"):
        write_files(tmp_path / "file", {"a": b""})
