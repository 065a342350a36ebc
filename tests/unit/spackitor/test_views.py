"""Index views of Spack 1.2: further indexes that list only some specs, beside a main index or without one."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from foundation.errors import DamagedError, ExitCode
from foundation.stores.folder import FileSystemStore
from foundation.stores.store import Store
from spackitor.__main__ import main
from spackitor.commands import CleanRules, RunOptions, keep
from spackitor.removal.indexes import make_indexes_fit
from spackitor.removal.recovery import restore
from spackitor.survey.check import check
from spackitor.survey.survey import survey
from tests.unit.spackitor.cleaning import ALL, TREE, names, roots, run_clean
from tests.unit.spackitor.mirrors import (
    Killed,
    Made,
    MadeMirror,
    WatchedStore,
    dag_hash,
    index_key,
    listed,
    require_consistent,
)


def hashes(*names: str) -> set[str]:
    return {dag_hash(name) for name in names}


def made(tmp_path: Path, *, has_index: bool = False, **views: tuple[str, ...]) -> MadeMirror:
    mirror = MadeMirror(tmp_path / "mirror", "v3", TREE, now=time.time(), has_index=has_index)
    for view, some in views.items():
        mirror.write_index(view=view, names=some)
    return mirror


def spackitor(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["-q", *map(str, arguments)])


def truncate(mirror: MadeMirror, view: str) -> None:
    """End the content of a view in the middle."""
    file = next(one for one in survey(FileSystemStore(mirror.root)).inventory.indexes if one.view == view)
    blob = mirror.root / file.blob
    blob.write_bytes(blob.read_bytes()[: file.size // 2])


def lose_blob(mirror: MadeMirror, view: str) -> None:
    """As an older 'buildcache prune' does, which knows nothing of views."""
    file = next(one for one in survey(FileSystemStore(mirror.root)).inventory.indexes if one.view == view)
    (mirror.root / file.blob).unlink()


def cut_manifest(mirror: MadeMirror, view: str) -> None:
    (mirror.root / index_key(view)).write_text('{"version": 3, "da')


DAMAGES = (truncate, lose_blob, cut_manifest)


def test_what_goes_leaves_its_views_and_nothing_comes_into_them(tmp_path: Path) -> None:
    mirror = made(tmp_path, has_index=True, small=("app", "lib", "base", "old"))
    run_clean(FileSystemStore(mirror.root))
    assert listed(FileSystemStore(mirror.root)) == {
        index_key(): hashes("new", "base"),
        index_key("small"): hashes("base"),
    }
    require_consistent(mirror.root)


def test_environments_pushed_to_a_view_month_after_month_stay(tmp_path: Path) -> None:
    """One environment is pushed and indexed as a view; 40 days later there is a cleaning; then a second one comes."""
    now = time.time()
    first = (Made("e1", ["shared"], age=80), Made("shared", age=80))
    mirror = MadeMirror(tmp_path / "mirror", "v3", first, now=now, has_index=False)
    mirror.write_index(80, view="prod", names=("e1", "shared"))
    store = FileSystemStore(mirror.root)
    assert run_clean(store, CleanRules()).plan.is_empty
    assert listed(store) == {index_key("prod"): hashes("e1", "shared")}
    mirror = MadeMirror(mirror.root, "v3", (*first, Made("e2", ["shared"], age=40)), now=now, has_index=False)
    mirror.write_index(40, view="prod", names=("e1", "shared", "e2"))
    assert run_clean(store, CleanRules()).plan.removals == ()
    assert names(mirror.root) == {"e1", "shared", "e2"}
    assert listed(store) == {index_key("prod"): hashes("e1", "shared", "e2")}


def test_what_a_view_lists_counts_as_listed_beside_a_main_index(tmp_path: Path) -> None:
    specs = (Made("main", age=9), Made("viewed", age=9, is_listed=False), Made("nowhere", age=9, is_listed=False))
    mirror = MadeMirror(tmp_path / "mirror", "v3", specs, now=time.time())
    mirror.write_index(view="prod", names=("viewed",))
    plan = run_clean(FileSystemStore(mirror.root), CleanRules()).plan
    assert {one.name: one.reason for one in plan.removals} == {"nowhere": "not in the index"}
    assert listed(FileSystemStore(mirror.root)) == {
        index_key(): hashes("main", "viewed"),
        index_key("prod"): hashes("viewed"),
    }


def test_views_are_selections_so_nothing_goes_for_standing_in_none(tmp_path: Path) -> None:
    mirror = made(tmp_path, prod=("app", "lib", "base"))
    assert run_clean(FileSystemStore(mirror.root), CleanRules()).plan.is_empty


@pytest.mark.parametrize(
    "act",
    [
        lambda store: run_clean(store),
        lambda store: make_indexes_fit(store),
        lambda store: make_indexes_fit(store, anew=True),
    ],
    ids=["clean", "check --fix", "reindex"],
)
def test_no_main_index_appears_beside_views(tmp_path: Path, act: Callable[[Store], object]) -> None:
    mirror = made(tmp_path, prod=("new", "base"), other=("app",))
    act(FileSystemStore(mirror.root))
    assert not (mirror.root / index_key()).exists()
    assert listed(FileSystemStore(mirror.root))[index_key("prod")] == hashes("new", "base")
    require_consistent(mirror.root)
    assert [one for one in check(survey(FileSystemStore(mirror.root))) if one.kind == "index"] == []


def test_reindexing_writes_the_records_of_views_anew(tmp_path: Path) -> None:
    mirror = made(tmp_path, has_index=True, prod=("app", "lib", "base"))
    store = FileSystemStore(mirror.root)
    before = listed(store)
    wrong = next(one for one in survey(store).inventory.indexes if one.view)
    assert wrong.index is not None
    text = wrong.index.text.replace('"package_hash":"abc===="', '"package_hash":"wrong==="')
    assert text != wrong.index.text
    record = {**mirror.blob(text.encode(), "application/vnd.spack.db.v8+json", 0), "compression": "none"}
    mirror.put(wrong.key, json.dumps({"version": 3, "data": [record]}).encode())
    make_indexes_fit(store, anew=True)
    assert listed(store) == before
    again = next(one for one in survey(store).inventory.indexes if one.view)
    assert again.index is not None
    assert "wrong===" not in again.index.text


def test_what_comes_back_stands_in_all_its_views_again(tmp_path: Path) -> None:
    mirror = made(tmp_path, has_index=True, prod=("app", "lib", "base"), other=("old", "oldlib", "new"))
    store = FileSystemStore(mirror.root)
    before = listed(store)
    run_clean(store)
    assert listed(store) == {
        index_key(): hashes("new", "base"),
        index_key("prod"): hashes("base"),
        index_key("other"): hashes("new"),
    }
    assert restore(store, None).failed == {}
    assert listed(store) == before
    require_consistent(mirror.root)


def test_what_comes_back_stands_in_views_of_a_mirror_without_another_index(tmp_path: Path) -> None:
    mirror = made(tmp_path, prod=("app", "lib", "base"))
    store = FileSystemStore(mirror.root)
    run_clean(store)
    restore(store, None)
    assert listed(store) == {index_key("prod"): hashes("app", "lib", "base")}


def test_a_view_that_its_owner_dropped_stays_away(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    mirror = made(tmp_path, has_index=True, prod=("app", "lib"))
    store = FileSystemStore(mirror.root)
    run_clean(store)
    (mirror.root / index_key("prod")).unlink()
    restore(store, None)
    assert listed(store).keys() == {index_key()}
    assert "is no longer there, so nothing is put back into it" in caplog.text


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("has_index", [True, False])
@pytest.mark.parametrize("way", [("reindex",), ("check", "--fix")], ids=" ".join)
def test_a_damaged_view_is_dropped_with_a_word_and_cleaning_goes_on(
    tmp_path: Path, damage: Callable[[MadeMirror, str], None], has_index: bool, way: tuple[str, ...]
) -> None:
    mirror = made(tmp_path, has_index=has_index, prod=("app", "lib", "base"), other=("new",))
    damage(mirror, "prod")
    done = spackitor("clean", mirror.root)
    assert done.exit_code == ExitCode.DAMAGED
    assert "--name prod" in done.stderr
    assert f"spackitor reindex {mirror.root}" in done.stderr
    command, *options = way
    mended = spackitor(command, mirror.root, *options)
    assert "view prod: could not be read" in mended.stderr
    assert index_key("prod") not in listed(FileSystemStore(mirror.root))
    assert listed(FileSystemStore(mirror.root))[index_key("other")] == hashes("new")
    assert (mirror.root / index_key()).exists() == has_index
    # Nothing that only the view listed is taken for garbage.
    assert "0 of 7 specs go" in spackitor("clean", mirror.root).stdout
    assert names(mirror.root) == {one.name for one in TREE}


def test_a_view_that_is_written_anew_meanwhile_is_not_dropped(tmp_path: Path) -> None:
    mirror = made(tmp_path, has_index=True, prod=("app", "lib"))
    truncate(mirror, "prod")
    store = WatchedStore(FileSystemStore(mirror.root))
    original = store.read

    def read(key: str) -> Any:
        if key == index_key("prod") and store.requests["WRITTEN"] == 2:
            mirror.write_index(view="prod", names=("app",), age=0)
        store.requests["WRITTEN"] += key == index_key("prod")
        return original(key)

    store.read = read  # type: ignore[method-assign]
    assert make_indexes_fit(store).dropped == ()
    assert listed(FileSystemStore(mirror.root))[index_key("prod")] == hashes("app")


def test_nothing_goes_for_standing_in_no_index_while_a_view_cannot_be_read(tmp_path: Path) -> None:
    specs = (Made("main", age=9), Made("viewed", age=9, is_listed=False))
    mirror = MadeMirror(tmp_path / "mirror", "v3", specs, now=time.time())
    mirror.write_index(view="prod", names=("viewed",))
    cut_manifest(mirror, "prod")
    assert survey(FileSystemStore(mirror.root)).inventory.unlisted == frozenset()
    with pytest.raises(DamagedError, match="view prod"):
        run_clean(FileSystemStore(mirror.root), CleanRules())


def test_a_view_that_appears_while_it_is_planned_is_heeded(tmp_path: Path) -> None:
    """What no index listed is on its way out when somebody makes a view of it."""
    specs = (Made("main", age=9), Made("late", age=9, is_listed=False))
    mirror = MadeMirror(tmp_path / "mirror", "v3", specs, now=time.time())
    store = WatchedStore(FileSystemStore(mirror.root))

    def write_view(_what: str, key: str) -> None:
        if key.startswith(".spackitor/runs/"):
            store.before = lambda _what, _key: None
            mirror.write_index(view="prod", names=("late",), age=0)

    store.before = write_view
    outcome = run_clean(store, CleanRules())
    assert outcome.plan.removals == ()
    assert names(mirror.root) == {"main", "late"}
    assert listed(FileSystemStore(mirror.root)) == {
        index_key(): hashes("main", "late"),
        index_key("prod"): hashes("late"),
    }
    (run,) = survey(FileSystemStore(mirror.root)).inventory.runs
    assert (run.moved, run.hashes, dict(run.views)) == ((), (), {}), "the record of what a run did not do"


def test_a_view_that_appears_after_the_last_look_is_made_to_fit(tmp_path: Path) -> None:
    mirror = made(tmp_path, has_index=True)
    store = WatchedStore(FileSystemStore(mirror.root))

    def write_view(what: str, _key: str) -> None:
        if what == "copy":
            store.before = lambda _what, _key: None
            mirror.write_index(view="prod", names=("app", "new"), age=0)

    store.before = write_view
    run_clean(store)
    assert listed(FileSystemStore(mirror.root))[index_key("prod")] == hashes("new")
    require_consistent(mirror.root)


def test_what_is_spared_at_the_last_moment_is_back_in_its_views(tmp_path: Path) -> None:
    mirror = made(tmp_path, has_index=True, prod=("app", "lib", "base", "oldlib"))
    store = WatchedStore(FileSystemStore(mirror.root))
    late = Made("late", ["oldlib"])
    elsewhere = MadeMirror(tmp_path / "elsewhere", "v3", (*TREE, late), now=time.time(), has_index=False)
    original = store.list
    pushing = Lock()

    def list_after_push(prefix: str) -> Any:
        # Folders are listed at once; a push that is going on is not what this is about.
        with pushing:
            if ("write", index_key("prod")) in store.effects and elsewhere.root != mirror.root:
                elsewhere.root = mirror.root
                elsewhere.push(late)
        return original(prefix)

    store.list = list_after_push  # type: ignore[method-assign]
    outcome = run_clean(store)
    assert outcome.report is not None
    assert dag_hash("oldlib") in outcome.report.spared
    assert listed(FileSystemStore(mirror.root))[index_key("prod")] == hashes("base", "oldlib")


def test_two_attempts_lose_nothing_of_a_view(tmp_path: Path) -> None:
    """The first view is written, the second somebody else's; what the next plan keeps returns to the first."""
    mirror = made(tmp_path, a=("app", "lib", "base"), b=("app", "old"))
    store = WatchedStore(FileSystemStore(mirror.root))

    def interfere(what: str, key: str) -> None:
        if (what, key) == ("write", index_key("b")):
            store.before = lambda _what, _key: None
            mirror.write_index(view="b", names=("old",), age=0)
            keep(FileSystemStore(mirror.root), "main", (roots("app"),), None)

    store.before = interfere
    run_clean(store)
    assert listed(FileSystemStore(mirror.root)) == {
        index_key("a"): hashes("app", "lib", "base"),
        index_key("b"): set(),
    }
    restore(FileSystemStore(mirror.root), None)
    assert listed(FileSystemStore(mirror.root))[index_key("b")] == hashes("old")


def test_views_are_shown(tmp_path: Path) -> None:
    mirror = made(tmp_path, has_index=True, prod=("app", "lib", "base"), other=("app",))
    lines = {line.split()[0]: line.split()[-2:] for line in spackitor("list", mirror.root).stdout.splitlines()}
    assert lines["PACKAGE"][-1] == "VIEWS"
    assert lines["app"] == ["other", "prod"]
    assert lines["lib"][-1] == "prod"
    assert lines["new"][-1] == "-"
    value = {one["name"]: one["views"] for one in json.loads(spackitor("list", mirror.root, "--json").stdout)}
    assert value["app"] == ["other", "prod"]
    assert "view prod: 3 specs, " in spackitor("stats", mirror.root).stdout
    assert json.loads(spackitor("stats", mirror.root, "--json").stdout)["views"]["other"]["specs"] == 1
    assert "view other: 1 specs, " in spackitor("check", mirror.root).stdout


def test_a_view_that_lists_what_is_not_there_is_found_and_mended(tmp_path: Path) -> None:
    mirror = made(tmp_path, prod=("app", "lib", "base"))
    (mirror.root / mirror.manifest_key(mirror.specs["app"])).unlink()
    done = spackitor("check", mirror.root)
    assert done.exit_code == ExitCode.DAMAGED
    assert f"index: {index_key('prod')}: lists app@1.0/" in done.stdout
    spackitor("check", mirror.root, "--fix")
    assert listed(FileSystemStore(mirror.root)) == {index_key("prod"): hashes("lib", "base")}


def test_killed_anywhere_what_left_a_view_can_be_put_back(tmp_path: Path) -> None:
    def fresh(name: str) -> MadeMirror:
        mirror = MadeMirror(tmp_path / name, "v3", TREE, now=time.time(), has_index=False)
        for view in ("a", "b"):
            mirror.write_index(view=view, names=("app", "lib", "base", "old"))
        return mirror

    whole = WatchedStore(FileSystemStore(fresh("model").root))
    run_clean(whole)
    for effects in range(1, len(whole.effects)):
        mirror = fresh(f"mirror{effects}")
        before = listed(FileSystemStore(mirror.root))
        with pytest.raises(Killed):
            run_clean(WatchedStore(FileSystemStore(mirror.root), kill_after=effects))
        require_consistent(mirror.root)
        restore(FileSystemStore(mirror.root), None)
        assert listed(FileSystemStore(mirror.root)) == before, f"after {effects} effects"


@given(
    st.lists(st.sampled_from([one.name for one in TREE]), unique=True),
    st.lists(st.sampled_from([one.name for one in TREE]), unique=True),
    st.booleans(),
    st.sampled_from([None, 30.0]),
)
def test_a_cleaning_and_its_undoing_leave_views_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, one: list[str], other: list[str], has_index: bool, max_age: float | None
) -> None:
    root = tmp_path_factory.mktemp("views")
    mirror = MadeMirror(root / "mirror", "v3", TREE, now=time.time(), has_index=has_index)
    mirror.write_index(view="one", names=one)
    mirror.write_index(view="nested/other", names=other)
    store = FileSystemStore(mirror.root)
    before = listed(store)
    plan = run_clean(store, CleanRules(max_age=max_age), replace(ALL, grace=7)).plan
    assert plan.size <= plan.total_size, "more goes than there is"
    require_consistent(mirror.root)
    kept = {dag_hash(name) for name in names(mirror.root)}
    assert listed(store) == {key: hashes & kept for key, hashes in before.items()}
    assert run_clean(store, CleanRules(max_age=max_age), RunOptions(max_delete=100)).plan.is_empty
    if plan.removals:
        restore(store, None)
        assert listed(store) == before
