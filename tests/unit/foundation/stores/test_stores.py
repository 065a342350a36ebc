"""Mirrors on file systems: permissions, groups and links."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest

from foundation.errors import FileAccessError, NotThereError, RefusedError
from foundation.stores.folder import FileSystemStore
from foundation.stores.opening import open_store
from foundation.stores.store import ChangedError
from spackitor.commands import CleanRules
from tests.unit.spackitor.cleaning import TREE, run_clean
from tests.unit.spackitor.mirrors import MadeMirror


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(name="store")
def store_fixture(tmp_path: Path) -> FileSystemStore:
    return FileSystemStore(tmp_path)


def test_new_files_and_folders_take_after_the_shared_mirror(tmp_path: Path, store: FileSystemStore) -> None:
    tmp_path.chmod(0o2775)
    before = os.umask(0o077)
    try:
        store.write("a/b/c.json", b"1")
    finally:
        os.umask(before)
    assert mode(tmp_path / "a") == mode(tmp_path / "a/b") == 0o2775
    assert mode(tmp_path / "a/b/c.json") == 0o664


def test_replaced_files_keep_their_permissions_and_group(tmp_path: Path, store: FileSystemStore) -> None:
    path = tmp_path / "index.json"
    path.write_bytes(b"old")
    path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(path, -1, 12345)
    group = path.stat().st_gid
    store.write("index.json", b"new")
    assert (path.read_bytes(), mode(path), path.stat().st_gid) == (b"new", 0o640, group)
    assert [one.name for one in tmp_path.iterdir()] == ["index.json"]


def test_a_file_that_changed_is_not_replaced(tmp_path: Path, store: FileSystemStore) -> None:
    tag = store.write("x", b"1", replaces=None)
    with pytest.raises(ChangedError):
        store.write("x", b"2", replaces=None)
    (tmp_path / "x").write_bytes(b"somebody else's")
    with pytest.raises(ChangedError):
        store.write("x", b"3", replaces=tag)
    assert (tmp_path / "x").read_bytes() == b"somebody else's"
    assert len(list(tmp_path.iterdir())) == 1


def test_links_are_neither_followed_nor_touched(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"precious")
    os.utime(outside, (0, 0))
    MadeMirror(tmp_path / "mirror", "v2", TREE, now=time.time())
    archive = next((tmp_path / "mirror").rglob("*-old-1.0-*.spack"))
    archive.unlink()
    archive.symlink_to(outside)
    store = FileSystemStore(tmp_path / "mirror")
    run_clean(store, CleanRules(max_age=30))
    assert outside.read_bytes() == b"precious"
    assert archive.is_symlink()
    assert store.read(archive.relative_to(tmp_path / "mirror").parent.as_posix() + "/nothing") is None
    with pytest.raises(FileAccessError):
        store.read(archive.relative_to(tmp_path / "mirror").as_posix())


def test_linked_folders_in_the_cache_are_refused(tmp_path: Path) -> None:
    MadeMirror(tmp_path / "mirror", "v2", TREE, now=time.time())
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "mirror/build_cache/more").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RefusedError, match="links are not followed"):
        run_clean(FileSystemStore(tmp_path / "mirror"))


def test_a_mirror_that_may_not_be_written_is_found_out_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    MadeMirror(tmp_path / "mirror", "v3", TREE, now=time.time())
    store = FileSystemStore(tmp_path / "mirror")
    locked = next((tmp_path / "mirror").rglob("old-1.0-*")).parent
    real = os.access
    # Root may write everywhere, so that permissions alone would not show it.
    monkeypatch.setattr(os, "access", lambda path, how: Path(path) != locked and real(path, how))
    before = sorted(path for path in (tmp_path / "mirror").rglob("*"))
    with pytest.raises(RefusedError, match="nothing is changed at all"):
        run_clean(store)
    assert sorted((tmp_path / "mirror").rglob("*")) == before


def test_keys_never_lead_out_of_the_mirror(store: FileSystemStore) -> None:
    with pytest.raises(RefusedError, match="leads out"):
        store.read("../secret")


def test_copies_survive_the_original(tmp_path: Path, store: FileSystemStore) -> None:
    store.write("a", b"1")
    store.copy("a", "deep/b")
    assert store.delete(["a", "never was"]) == {}
    assert (tmp_path / "deep/b").read_bytes() == b"1"
    with pytest.raises(NotThereError):
        store.copy("a", "c")
    assert b"".join(store.stream("deep/b")) == b"1"


def test_one_object_is_found_as_it_is_listed(tmp_path: Path, store: FileSystemStore) -> None:
    store.write("folder/a", b"123")
    (tmp_path / "folder" / "link").symlink_to("a")
    assert [store.look(one.key) for one in store.list("folder/")] == list(store.list("folder/"))
    assert [store.look(key) for key in ("folder", "folder/b", "folder/a/b", "gone/a")] == [None] * 4


def test_mirrors_are_named_by_url_or_folder(tmp_path: Path) -> None:
    (tmp_path / "with space").mkdir()
    assert open_store(f"file://{tmp_path}/with%20space", None, {}).url == str(tmp_path / "with space")
    assert open_store(str(tmp_path), None, {}).url == str(tmp_path)
    with pytest.raises(ValueError, match="oci:// is not supported"):
        open_store("oci://host/x", None, {})
    with pytest.raises(NotThereError):
        open_store(str(tmp_path / "nothing"), None, {})


def test_a_link_says_what_it_leads_to_and_is_copied_as_a_link(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_text("content")
    (tmp_path / "a" / "link").symlink_to("../a/file")
    (tmp_path / "a" / "out").symlink_to("/etc/passwd")
    store = FileSystemStore(tmp_path)
    assert {one.key: one.leads_to for one in store.list("")} == {
        "a/file": "",
        "a/link": "a/file",
        "a/out": "/etc/passwd",
    }
    store.copy("a/link", "b/c/link")
    assert (tmp_path / "b/c/link").readlink() == Path("../a/file")


def test_a_copy_is_as_old_as_its_source_or_new(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("content")
    os.utime(tmp_path / "file", (1e9, 1e9))
    store = FileSystemStore(tmp_path)
    store.copy("file", "kept")
    assert (tmp_path / "kept").stat().st_mtime == 1e9
    store.copy("file", "new", as_new=True)
    assert (tmp_path / "new").stat().st_mtime > 1e9
    with pytest.raises(NotThereError):
        store.copy("nothing", "new")
