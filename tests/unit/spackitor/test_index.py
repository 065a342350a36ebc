"""`spackitor index`: what was pushed since the last time comes into the index, and little is read for that."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from foundation.errors import DamagedError, ExitCode, RefusedError
from foundation.stores.folder import FileSystemStore
from spackitor.__main__ import main
from spackitor.removal.indexes import add_what_is_new, make_indexes_fit
from spackitor.survey.survey import survey
from tests.spack_ci import lockfile
from tests.unit.spackitor.mirrors import (
    LAYOUTS,
    LayoutName,
    Made,
    MadeMirror,
    WatchedStore,
    dag_hash,
    index_key,
    listed,
    require_consistent,
)

OLD = tuple(Made(f"old{number}", ["base"]) for number in range(20))


def pushed(tmp_path: Path, layout: LayoutName = "v3") -> MadeMirror:
    """A mirror whose index knows all but what was pushed after it."""
    mirror = MadeMirror(tmp_path / "mirror", layout, (*OLD, Made("base")), now=time.time())
    add_what_is_new(FileSystemStore(mirror.root))
    for spec in (Made("new", ["old1"]), Made("newer", ["new"])):
        mirror.specs[spec.name] = spec
        mirror.push(spec)
    return mirror


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_new_is_listed_and_only_that_is_read(tmp_path: Path, layout: LayoutName) -> None:
    mirror = pushed(tmp_path, layout)
    store = FileSystemStore(mirror.root)
    assert add_what_is_new(store).specs == len(OLD) + 3
    read = store.requests["GET"]
    require_consistent(mirror.root)
    (found,) = listed(store).values()
    assert {dag_hash("new"), dag_hash("newer"), dag_hash("old1")} <= found
    # Index, side file, keys; of each new spec its manifest and its spec file.
    assert read <= 10 < len(OLD)
    before = {key: store.read(key) for key in (index_key(), "build_cache/index.json")}
    again = FileSystemStore(mirror.root)
    add_what_is_new(again)
    assert again.requests["PUT"] == 0, "nothing is new, so nothing is written"
    assert before == {key: store.read(key) for key in before}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_result_is_what_a_whole_new_index_lists(tmp_path: Path, layout: LayoutName) -> None:
    mirror = pushed(tmp_path, layout)
    store = FileSystemStore(mirror.root)
    add_what_is_new(store)
    quick = listed(store)
    make_indexes_fit(store, anew=True)
    assert listed(store) == quick


def test_somebody_who_updates_the_index_meanwhile_is_not_undone(tmp_path: Path) -> None:
    mirror = pushed(tmp_path)
    store = WatchedStore(FileSystemStore(mirror.root))
    late = Made("late", ["newer"])
    writes = 0

    def before(what: str, key: str) -> None:
        nonlocal writes
        if key == index_key() and not writes:
            writes += 1
            mirror.specs[late.name] = late
            mirror.push(late)
            mirror.write_index(age=0)

    store.before = before
    add_what_is_new(store)
    require_consistent(mirror.root)
    assert dag_hash("late") in listed(FileSystemStore(mirror.root))[index_key()]


def test_it_gives_up_where_somebody_keeps_writing_the_index(tmp_path: Path) -> None:
    mirror = pushed(tmp_path)
    store = WatchedStore(FileSystemStore(mirror.root))
    count = 0

    def before(what: str, key: str) -> None:
        nonlocal count
        if key == index_key():
            count += 1
            mirror.write_index(names=("base", f"old{count}"), age=-count / 100)

    store.before = before
    with pytest.raises(RefusedError, match="somebody else keeps writing"):
        add_what_is_new(store)
    require_consistent(mirror.root)


def test_a_view_is_made_and_added_to(tmp_path: Path) -> None:
    mirror = pushed(tmp_path)
    store = FileSystemStore(mirror.root)
    (mirror.root / index_key()).unlink()
    add_what_is_new(store, {"prod": [dag_hash("old1"), dag_hash("new"), "q" * 32]})
    add_what_is_new(store, {"prod": [dag_hash("old2")]})
    assert listed(store) == {index_key("prod"): {dag_hash("old1"), dag_hash("new"), dag_hash("old2")}}
    assert survey(store).inventory.unlisted == frozenset(), "beside views there is no main index"
    require_consistent(mirror.root)


def test_a_view_may_list_what_somebody_says_and_nothing_else(tmp_path: Path) -> None:
    mirror = pushed(tmp_path)
    store = FileSystemStore(mirror.root)
    everything = listed(store) | {index_key("prod"): {dag_hash("old2"), dag_hash("new"), dag_hash("newer")}}
    everything[index_key()] |= {dag_hash("new"), dag_hash("newer")}
    add_what_is_new(store, {"prod": [dag_hash("old1"), dag_hash("new")]})
    wanted = {"prod": everything[index_key("prod")]}
    add_what_is_new(store, wanted, only=True)
    assert listed(store) == everything
    require_consistent(mirror.root)
    before = (mirror.root / index_key("prod")).stat()
    add_what_is_new(store, wanted, only=True)
    assert (mirror.root / index_key("prod")).stat() == before, "it lists that already"
    assert CliRunner().invoke(main, ["index", str(mirror.root), "--only"], obj={}).exit_code == ExitCode.USAGE


def test_a_damaged_index_is_not_guessed_from(tmp_path: Path) -> None:
    mirror = pushed(tmp_path)
    file = next(one for one in survey(FileSystemStore(mirror.root)).inventory.indexes if not one.view)
    (mirror.root / file.blob).write_bytes(b"{")
    with pytest.raises(DamagedError, match="spackitor reindex"):
        add_what_is_new(FileSystemStore(mirror.root))


def test_a_view_needs_a_lockfile_and_a_name(tmp_path: Path) -> None:
    mirror = pushed(tmp_path)
    lock = tmp_path / "spack.lock"
    lock.write_bytes(lockfile({"app": []}))
    for arguments in (["--view", "x"], ["-e", str(lock)], ["--view", "../x y", "-e", str(lock)]):
        assert CliRunner().invoke(main, ["index", str(mirror.root), *arguments]).exit_code == ExitCode.USAGE
    done = CliRunner().invoke(main, ["index", str(mirror.root), "--view", "prod", "-e", str(lock)])
    assert (done.exit_code, done.output) == (0, f"{len(OLD) + 3} specs are in the index\n")
