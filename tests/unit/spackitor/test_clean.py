"""Cleaning whole mirrors: what goes, in which order, and what is left wherever it is cut off."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.errors import DamagedError, NotThereError, RefusedError
from foundation.stores.folder import FileSystemStore
from foundation.stores.store import Content, Store
from spackitor.commands import (
    CleanRules,
    RunOptions,
    RunOutcome,
    empty_quarantine,
    forget,
    keep,
)
from spackitor.inventory.roots import RootSet, SpecNeeds
from spackitor.policy.repositories import Packages
from spackitor.purging import PurgeOrder, purge
from spackitor.removal.indexes import make_indexes_fit
from spackitor.removal.recovery import restore
from spackitor.survey.survey import survey
from tests.unit.spackitor.cleaning import ALL, TREE, names, roots, run_clean
from tests.unit.spackitor.mirrors import (
    LAYOUTS,
    Killed,
    LayoutName,
    Made,
    MadeMirror,
    WatchedStore,
    dag_hash,
    listed,
    recorded,
    require_consistent,
)

AT_ONCE = RunOptions(max_delete=100, has_quarantine=False)


SMALL = (
    Made("app", ["lib"], age=100, archive="same"),
    Made("lib", ["base"], age=100),
    Made("base", age=100),
    Made("new", ["base"], age=2, archive="same"),
)


def run_purge(store: Store, *texts: str, options: RunOptions = ALL, dependents: bool = False) -> RunOutcome:
    return purge(store, PurgeOrder(texts, dependents), options, lambda _: None, lambda *_: None)


def made(tmp_path: Path, layout: LayoutName = "v3", specs: tuple[Made, ...] = TREE, **how: Any) -> FileSystemStore:
    MadeMirror(tmp_path / "mirror", layout, specs, now=time.time(), **how)
    return FileSystemStore(tmp_path / "mirror")


def removed(outcome: RunOutcome) -> dict[str, str]:
    return {one.name: one.reason for one in outcome.plan.removals}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("signed", [True, False])
def test_what_is_old_and_in_no_use_goes(tmp_path: Path, layout: LayoutName, signed: bool) -> None:
    store = made(tmp_path, layout, signed=signed)
    outcome = run_clean(store)
    assert removed(outcome) == {
        "app": "100 days old and in no use",
        "lib": "100 days old and in no use",
        "tool": "100 days old and in no use",
        "old": "50 days old and in no use",
        "oldlib": "60 days old and in no use",
    }
    assert names(tmp_path / "mirror") == {"new", "base"}
    assert list(listed(store).values()) == [{dag_hash("new"), dag_hash("base")}]
    require_consistent(tmp_path / "mirror")


def test_a_mirror_of_spack_0_18_is_cleaned_and_stays_one(tmp_path: Path) -> None:
    """Index version 6, whose nodes write the types of dependencies in another way."""
    store = made(tmp_path, "v2", specfile=3)
    assert removed(run_clean(store, roots=(roots("app"),))).keys() == {"tool", "old", "oldlib"}
    (file,) = survey(store).inventory.indexes
    assert file.index is not None
    assert file.index.version == 6
    make_indexes_fit(store, anew=True)
    assert list(listed(store).values()) == [{dag_hash(name) for name in ("app", "lib", "base", "new")}]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_roots_need_to_run_stays_and_what_built_it_goes(tmp_path: Path, layout: LayoutName) -> None:
    store = made(tmp_path, layout)
    outcome = run_clean(store, roots=(roots("app"),))
    assert removed(outcome).keys() == {"tool", "old", "oldlib"}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_builds_roots_stays_if_wanted(tmp_path: Path, layout: LayoutName) -> None:
    store = made(tmp_path, layout)
    outcome = run_clean(store, CleanRules(max_age=30, keep_build_dependencies=True), roots=(roots("app"),))
    assert removed(outcome).keys() == {"old", "oldlib"}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_recorded_mirror_is_cleaned(tmp_path: Path, layout: LayoutName) -> None:
    store = FileSystemStore(recorded(layout, tmp_path / "mirror", now=time.time()))
    specs = survey(store).inventory.specs
    app_y = next(hash_ for hash_, spec in specs.items() if spec.name == "app-y")
    outcome = run_clean(store, roots=(RootSet("r", (app_y,)),))
    assert {spec.name for hash_, spec in specs.items() if hash_ not in {one.hash for one in outcome.plan.removals}} == {
        "app-y",
        "libc-toy",
        "liba",
    }
    require_consistent(tmp_path / "mirror")
    assert {len(one) for one in listed(store).values()} == {3}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_reindexing_a_recorded_mirror_gives_the_index_that_spack_wrote(tmp_path: Path, layout: LayoutName) -> None:
    store = FileSystemStore(recorded(layout, tmp_path / "mirror", now=time.time()))
    (before,) = survey(store).inventory.indexes
    make_indexes_fit(store, anew=True)
    (after,) = survey(store).inventory.indexes
    assert before.index is not None
    assert after.index is not None
    assert json.loads(after.index.text) == json.loads(before.index.text)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("options", [ALL, AT_ONCE], ids=["quarantine", "at once"])
def test_d80_a_second_run_removes_nothing(tmp_path: Path, layout: LayoutName, options: RunOptions) -> None:
    """D80: the first system's janitor looped for ever after its first deletion."""
    store = made(tmp_path, layout)
    first = run_clean(store, options=options)
    assert first.plan.removals
    store.requests.clear()
    second = run_clean(store, options=options)
    assert second.plan.is_empty
    assert not store.requests.keys() & {"PUT", "DELETE", "COPY"}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_d81_a_package_that_is_gone_goes_with_its_dependents_unless_it_is_in_use(
    tmp_path: Path, layout: LayoutName
) -> None:
    """D81: packages counted as gone whatever the keep list said, and whatever could not be read was gone."""
    packages: Packages = {"builtin": frozenset({"app", "lib", "tool", "new", "old"})}
    store = made(tmp_path, layout)
    outcome = run_clean(
        store, CleanRules(packages=packages), RunOptions(max_delete=100, is_dry_run=True), (roots("lib"),)
    )
    assert removed(outcome) == {
        "old": f"depends on oldlib@1.0/{dag_hash('oldlib')[:7]}, which goes",
        "oldlib": "package builtin.oldlib no longer exists",
    }


def test_d87_packages_of_other_namespaces_are_not_judged(tmp_path: Path) -> None:
    """D87, D92: packages that exist only in another repository were removed at once."""
    store = made(tmp_path, "v3", (Made("mine", namespace="site", age=9), Made("gone", age=9)))
    outcome = run_clean(store, CleanRules(packages={"builtin": frozenset({"zlib"})}))
    assert removed(outcome).keys() == {"gone"}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_d82_nothing_is_asked_for_each_spec(tmp_path: Path, layout: LayoutName) -> None:
    """D82: one HEAD per index entry and pass, and the index again in each pass."""
    store = made(tmp_path, layout, tuple(Made(f"pkg{number}", age=9) for number in range(50)))
    run_clean(store)
    store.requests.clear()
    run_clean(store)
    assert "HEAD" not in store.requests
    assert store.requests["GET"] <= 5


def test_d83_dependents_of_what_goes_stay_if_they_are_in_use_and_keep_it(tmp_path: Path) -> None:
    """D83: dependents were deleted before the keep list was looked at, and build dependencies counted."""
    store = made(tmp_path, "v2")
    outcome = run_clean(store, roots=(roots("app"),))
    # Built with `tool`, which goes; that is no reason for `app` to go.
    assert "app" not in removed(outcome)
    assert "tool" in removed(outcome)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_d84_nothing_is_deleted_twice(tmp_path: Path, layout: LayoutName) -> None:
    """D84: keys were queued twice when two reasons held."""
    store = WatchedStore(made(tmp_path, layout))
    packages: Packages = {"builtin": frozenset({"new", "base"})}
    run_clean(store, CleanRules(max_age=30, packages=packages), AT_ONCE)
    deleted = [key for what, key in store.effects if what == "delete"]
    assert deleted
    assert len(deleted) == len(set(deleted))


def test_d86_what_another_branch_uses_stays(tmp_path: Path) -> None:
    """D86: the keep set was that of the current pipeline only."""
    store = made(tmp_path)
    keep(store, "feature/a", (roots("app"),), None)
    keep(store, "feature/b", (roots("old"),), 14)
    assert removed(run_clean(store, options=RunOptions(max_delete=100, is_dry_run=True))).keys() == {"tool"}
    assert forget(store, ("feature/b",), all_over=False) == ("feature/b",)
    assert removed(run_clean(store)).keys() == {"tool", "old", "oldlib"}
    with pytest.raises(NotThereError, match="feature/a"):
        forget(store, ("feature/c",), all_over=False)


def test_recorded_roots_end_with_their_time_but_never_all_at_once(tmp_path: Path) -> None:
    store = made(tmp_path)
    keep(store, "gone", (roots("app"),), 1e-9)
    with pytest.raises(RefusedError, match="all recorded roots are over"):
        run_clean(store)
    assert "app" in removed(
        run_clean(store, roots=(roots("new"),), options=RunOptions(is_dry_run=True, max_delete=100))
    )
    assert forget(store, (), all_over=True) == ("gone",)


def test_d88_what_is_young_stays_with_all_that_it_needs(tmp_path: Path) -> None:
    """D88: objects that had just been judged present vanished before the build."""
    specs = (
        Made("young", ["lib"], age=0.5),
        Made("lib", ["base"], age=90),
        Made("base", age=90),
        Made("other", age=90),
    )
    store = made(tmp_path, "v2", specs)
    assert removed(run_clean(store, CleanRules(max_age=0))).keys() == {"other"}


def test_d89_both_layouts_in_one_mirror(tmp_path: Path) -> None:
    """D89: only the old layout, only signed specs, only nodes with a compiler."""
    MadeMirror(tmp_path / "mirror", "v2", TREE, now=time.time(), signed=False)
    store = made(tmp_path, "v3", TREE)
    outcome = run_clean(store, options=AT_ONCE)
    assert names(tmp_path / "mirror") == {"new", "base"}
    kept = {dag_hash("new"), dag_hash("base")}
    assert listed(store) == {"build_cache/index.json": kept, "v3/manifests/index/index.manifest.json": kept}
    assert not list((tmp_path / "mirror").rglob(f"*{dag_hash('app')}*"))
    assert len(outcome.plan.removals) == 5
    require_consistent(tmp_path / "mirror")


def test_d90_a_dry_run_changes_nothing_and_every_removal_has_a_reason(tmp_path: Path) -> None:
    """D90: no dry run, no report, no limit."""
    store = WatchedStore(made(tmp_path))
    plan_file = tmp_path / "plan.json"
    run_clean(store, options=RunOptions(max_delete=100, is_dry_run=True, plan_file=plan_file))
    assert store.effects == []
    plan = json.loads(plan_file.read_text())
    assert len(plan["removals"]) == 5
    assert all(one["reason"] and one["objects"] for one in plan["removals"])
    assert not (tmp_path / "plan.report.json").exists()


def test_the_report_is_written_after_the_plan(tmp_path: Path) -> None:
    store = made(tmp_path)
    run_clean(store, options=RunOptions(max_delete=100, plan_file=tmp_path / "plan.json"))
    report = json.loads((tmp_path / "plan.report.json").read_text())
    assert report["report"]["removed"] == 5
    assert report["requests"]["DELETE"] == 5
    assert report["plan"] == json.loads((tmp_path / "plan.json").read_text())


def test_the_brake(tmp_path: Path) -> None:
    store = WatchedStore(made(tmp_path))
    with pytest.raises(RefusedError, match=r"5 of 7 specs would go \(71%\), more than --max-delete 30"):
        run_clean(store, options=RunOptions())
    assert store.effects == []


def test_a_spliced_spec_keeps_what_it_was_spliced_from(tmp_path: Path) -> None:
    specs = (Made("spliced", spliced_from="original", age=90), Made("original", age=90), Made("other", age=90))
    store = made(tmp_path, "v3", specs)
    assert removed(run_clean(store, roots=(roots("spliced"),))).keys() == {"other"}


def test_needs_are_followed_across_what_is_not_in_the_cache(tmp_path: Path) -> None:
    specs = (
        Made("app", ["hole", "glibc"], age=90),
        Made("hole", ["deep"], is_cached=False),
        Made("glibc", is_cached=False, is_external=True),
        Made("deep", age=90),
        Made("other", age=90),
    )
    store = made(tmp_path, "v3", specs)
    assert removed(run_clean(store, roots=(roots("app"),))).keys() == {"other"}


def test_shared_blobs_stay_as_long_as_somebody_needs_them(tmp_path: Path) -> None:
    specs = (Made("one", age=90, archive="same"), Made("two", age=2, archive="same"), Made("three", age=90))
    store = made(tmp_path, "v3", specs)
    outcome = run_clean(store, options=AT_ONCE)
    assert removed(outcome).keys() == {"one", "three"}
    require_consistent(tmp_path / "mirror")
    assert names(tmp_path / "mirror") == {"two"}


def test_max_size_removes_what_was_used_least_recently(tmp_path: Path) -> None:
    specs = (
        Made("app", ["lib"], age=5, size=1000),
        Made("lib", age=200, size=1000),
        Made("idle", ["idlelib"], age=20, size=1000),
        Made("idlelib", age=30, size=1000),
        Made("kept", age=300, size=1000),
    )
    store = made(tmp_path, "v2", specs)
    size = survey(store).inventory.size(survey(store).inventory.usable)
    rules = CleanRules(max_size=size - 2500)
    assert removed(run_clean(store, rules, roots=(roots("kept"),))).keys() == {"idle", "idlelib"}
    # `app` is younger than `lib`, but as long as it is there it keeps `lib` in use.
    assert names(tmp_path / "mirror") == {"app", "lib", "kept"}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_orphans_in_every_direction(tmp_path: Path, layout: LayoutName) -> None:
    specs = (Made("whole", age=9), Made("cut", age=9), Made("unlisted", age=9, is_listed=False), Made("head", age=9))
    store = made(tmp_path, layout, specs)
    root = tmp_path / "mirror"
    if layout == "v2":
        next(root.rglob(f"*{dag_hash('cut')}.spack")).unlink()
        next(root.rglob(f"*{dag_hash('head')}.spec.json.sig")).unlink()
    else:
        key = next(entry for entry in survey(store).inventory.entries if entry.hash == dag_hash("cut")).archives[0].key
        (root / key).unlink()
        next(root.rglob(f"*{dag_hash('head')}.spec.manifest.json")).unlink()
    outcome = run_clean(store, CleanRules(), AT_ONCE)
    assert removed(outcome).keys() == {"cut", "unlisted"}
    assert removed(outcome)["unlisted"] == "not in the index"
    assert "is not there" in removed(outcome)["cut"]
    assert {one.reason for one in outcome.plan.leftovers} >= {
        "an archive without spec file" if layout == "v2" else "a blob that no manifest leads to"
    }
    assert outcome.plan.size < outcome.plan.total_size
    assert names(root) == {"whole"}
    assert list(listed(store).values()) == [{dag_hash("whole")}]
    for name in ("cut", "unlisted", "head"):
        assert not list(root.rglob(f"*{dag_hash(name)}*"))
    assert run_clean(store, CleanRules(), AT_ONCE).plan.is_empty


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_goes_is_never_more_than_there_was(tmp_path: Path, layout: LayoutName) -> None:
    """The archives of four specs remain, which nothing leads to: none of their bytes are bytes of a spec."""
    store = made(tmp_path, layout, SMALL)
    for path in [*tmp_path.rglob("*.spec.manifest.json"), *tmp_path.rglob("*.spec.json*")]:
        path.unlink()
    plan = run_clean(store, CleanRules(), AT_ONCE).plan
    assert 0 < plan.size <= plan.total_size


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_unlisted_spec_stays_if_something_kept_needs_it_and_comes_into_the_index(
    tmp_path: Path, layout: LayoutName
) -> None:
    specs = (Made("app", ["lib"], age=9), Made("lib", age=9, is_listed=False), Made("fresh", is_listed=False))
    store = made(tmp_path, layout, specs)
    run_clean(store, CleanRules())
    assert list(listed(store).values()) == [{dag_hash("app"), dag_hash("lib"), dag_hash("fresh")}]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_mirror_without_index_gets_one_and_loses_nothing(tmp_path: Path, layout: LayoutName) -> None:
    store = made(tmp_path, layout, has_index=False)
    outcome = run_clean(store, CleanRules())
    assert removed(outcome) == {}
    assert list(listed(store).values()) == [{dag_hash(spec.name) for spec in TREE}]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_in_use_but_broken_is_not_touched_and_not_listed(tmp_path: Path, layout: LayoutName) -> None:
    store = made(tmp_path, layout)
    entry = next(entry for entry in survey(store).inventory.entries if entry.hash == dag_hash("lib"))
    (tmp_path / "mirror" / entry.archives[0].key).unlink()
    outcome = run_clean(store, CleanRules(), roots=(roots("app"),))
    assert "lib" not in removed(outcome)
    assert (tmp_path / "mirror" / entry.metadata[0].key).exists()
    assert dag_hash("lib") not in next(iter(listed(store).values()))


def test_a_manifest_that_cannot_be_read_saves_all_blobs(tmp_path: Path) -> None:
    store = made(tmp_path)
    broken = next((tmp_path / "mirror").rglob(f"*{dag_hash('base')}.spec.manifest.json"))
    broken.write_bytes(b"{")
    blobs = {path for path in (tmp_path / "mirror" / "blobs").rglob("*") if path.is_file()}
    run_clean(store, options=AT_ONCE)
    index = {file.blob for file in survey(store).inventory.indexes}
    gone = {path for path in blobs if not path.exists()}
    assert {path.name for path in gone} <= {path.name for path in blobs} - {Path(key).name for key in index}
    assert len(gone) <= 1, "only the index before this one"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_effects_come_in_a_safe_order(tmp_path: Path, layout: LayoutName) -> None:
    store = WatchedStore(made(tmp_path, layout))
    run_clean(store, options=AT_ONCE)
    kinds = []
    for what, key in store.effects:
        if key.startswith(".spackitor/"):
            continue
        if "index" in key or what == "write":
            kinds.append("index")
        elif key.endswith((".manifest.json", ".spec.json.sig")):
            kinds.append("metadata")
        else:
            kinds.append("archive")
    assert kinds == sorted(kinds, key=["index", "metadata", "archive"].index)
    assert set(kinds) == {"index", "metadata", "archive"}


def _every_kill(
    tmp_path: Path, make: Callable[[Path], None], act: Callable[[Store], object], again: Callable[[Store], object]
) -> int:
    """Kill `act` after each of its effects; check the mirror then, and that `again` ends where it would have ended."""
    make(tmp_path / "model")
    whole = WatchedStore(FileSystemStore(tmp_path / "model"))
    act(whole)
    expected = names(tmp_path / "model"), listed(FileSystemStore(tmp_path / "model"))
    count = len(whole.effects)
    for effects in range(count):
        root = tmp_path / "mirror"
        shutil.rmtree(root, ignore_errors=True)
        make(root)
        with pytest.raises(Killed):
            act(WatchedStore(FileSystemStore(root), kill_after=effects))
        require_consistent(root)
        again(FileSystemStore(root))
        require_consistent(root)
        assert (names(root), listed(FileSystemStore(root))) == expected, f"after {effects} of {count} effects"
    return count


@pytest.mark.parametrize("layouts", [("v2",), ("v3",), ("v2", "v3")], ids="+".join)
@pytest.mark.parametrize("options", [ALL, AT_ONCE], ids=["quarantine", "at once"])
def test_killed_after_any_effect_the_mirror_is_consistent_and_the_next_run_finishes(
    tmp_path: Path, layouts: tuple[LayoutName, ...], options: RunOptions
) -> None:
    now = time.time()

    def make(root: Path) -> None:
        for layout in layouts:
            MadeMirror(root, layout, SMALL, now=now)

    def act(store: Store) -> None:
        run_clean(store, options=options)

    assert _every_kill(tmp_path, make, act, act) >= 6


def test_killed_while_purging_the_next_cleaning_finishes(tmp_path: Path) -> None:
    now = time.time()

    def again(store: Store) -> None:
        # Killed before the index was written, nothing has happened yet, and the purge has to be repeated.
        _purge_if_there(store, "lib")
        run_clean(store, CleanRules())

    _every_kill(
        tmp_path, lambda root: made_at(root, now), lambda store: run_purge(store, "lib", dependents=True), again
    )


def made_at(root: Path, now: float) -> None:
    MadeMirror(root, "v3", SMALL, now=now)


def _purge_if_there(store: Store, name: str) -> None:
    with suppress(NotThereError):
        run_purge(store, name, dependents=True)


def test_killed_while_restoring_it_can_be_repeated(tmp_path: Path) -> None:
    now = time.time()

    def make(root: Path) -> None:
        MadeMirror(root, "v3", SMALL, now=now)
        run_clean(FileSystemStore(root))

    def again(store: Store) -> None:
        with suppress(NotThereError):  # the kill came after the last thing that mattered
            restore(store, None)

    _every_kill(tmp_path, make, lambda store: restore(store, None), again)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_was_removed_comes_back_with_its_index_entries(tmp_path: Path, layout: LayoutName) -> None:
    store = made(tmp_path, layout)
    before = {
        path: path.read_bytes()
        for path in (tmp_path / "mirror").rglob("*")
        if "index" not in path.name and path.is_file()
    }
    run_clean(store)
    done = restore(store, None)
    assert (done.count, done.failed) == (5, {})
    assert list(listed(store).values()) == [{dag_hash(spec.name) for spec in TREE}]
    assert {path: path.read_bytes() for path in before if path.exists()} == before
    require_consistent(tmp_path / "mirror")
    # It counts as new, or else the next run would remove it again.
    assert removed(run_clean(store)) == {}
    with pytest.raises(NotThereError, match="no such run"):
        restore(store, None)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_records_of_what_comes_back_are_those_of_the_index_before(tmp_path: Path, layout: LayoutName) -> None:
    """No spec file is read, nor a copy of one."""
    mirror = MadeMirror(tmp_path, layout, TREE, now=time.time())
    store = FileSystemStore(mirror.root)
    before = listed(store)
    removed = len(run_clean(store, CleanRules(max_age=1)).plan.removals)
    assert removed == len(TREE)
    read: list[str] = []

    class Watched(FileSystemStore):
        def read(self, key: str) -> Content | None:
            read.append(key)
            return super().read(key)

    restore(Watched(mirror.root), None)
    assert listed(store) == before
    described = {entry.spec_file for entry in survey(store).inventory.entries}
    assert len(described) == removed
    assert described.isdisjoint(read)
    assert not [key for key in read if ".spec.json" in key]
    assert not list((mirror.root / ".spackitor" / "quarantine").rglob("*.removed"))


def test_the_index_before_goes_with_its_run(tmp_path: Path) -> None:
    """Layout v2 has one index, which is written anew in its place; a copy of it stays while the run can be undone."""
    store = FileSystemStore(MadeMirror(tmp_path, "v2", TREE, now=time.time()).root)
    copy = ".spackitor/quarantine/*/build_cache/index.json.removed"
    run_clean(store, options=replace(ALL, grace=0.0))
    assert len(list(tmp_path.rglob(copy))) == 1
    run_clean(store)
    assert not list(tmp_path.rglob(copy))
    assert survey(store).inventory.runs == ()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_has_lost_its_archive_does_not_come_back(tmp_path: Path, layout: LayoutName) -> None:
    store = made(tmp_path, layout)
    outcome = run_clean(store)
    lost = next(one for one in outcome.plan.removals if one.name == "old")
    (tmp_path / "mirror" / lost.archives[0]).unlink()
    done = restore(store, None)
    assert done.count == 4
    assert [reason.rpartition(" is ")[2] for reason in done.failed.values()] == ["gone"]
    require_consistent(tmp_path / "mirror")
    assert "old" not in names(tmp_path / "mirror")


def test_after_the_time_of_grace_the_bytes_go(tmp_path: Path) -> None:
    store = made(tmp_path)
    first = run_clean(store, options=RunOptions(max_delete=100, grace=0))
    archives = [tmp_path / "mirror" / key for one in first.plan.removals for key in one.archives]
    assert all(path.exists() for path in archives)
    second = run_clean(store)
    assert not any(path.exists() for path in archives)
    assert len(second.plan.expired) >= len(archives)
    assert not list((tmp_path / "mirror" / ".spackitor" / "quarantine").rglob("*.removed"))
    require_consistent(tmp_path / "mirror")
    assert run_clean(store).plan.is_empty


def test_the_quarantine_can_be_emptied_at_once(tmp_path: Path) -> None:
    store = made(tmp_path, "v2")
    first = run_clean(store)
    options = RunOptions()

    def empty(*, everything: bool) -> RunOutcome:
        return empty_quarantine(store, options, everything=everything, show=lambda _: None, progress=lambda *_: None)

    assert empty(everything=False).plan.is_empty
    empty(everything=True)
    archives = [tmp_path / "mirror" / key for one in first.plan.removals for key in one.archives]
    assert archives
    assert not any(path.exists() for path in archives)
    with pytest.raises(NotThereError):
        restore(store, None)


def test_what_is_pushed_again_during_its_time_of_grace_stays(tmp_path: Path) -> None:
    store = made(tmp_path)
    run_clean(store, options=RunOptions(max_delete=100, grace=0))
    MadeMirror(tmp_path / "mirror", "v3", TREE, now=time.time(), has_index=False).push(replace(TREE[5], age=0))
    run_clean(store, CleanRules())
    require_consistent(tmp_path / "mirror")
    assert "old" in names(tmp_path / "mirror")


def test_a_push_between_plan_and_index_is_planned_anew(tmp_path: Path) -> None:
    """Somebody pushes a spec that needs one which is about to go, and writes the index, at the worst moment."""
    inner = made(tmp_path)
    store = WatchedStore(inner)
    pushed = (*TREE, Made("late", ["oldlib"]))

    def push(_what: str, key: str) -> None:
        if "index" in key:
            store.before = lambda _what, _key: None
            MadeMirror(tmp_path / "mirror", "v3", pushed, now=time.time())

    store.before = push
    outcome = run_clean(store)
    assert removed(outcome).keys() == {"app", "lib", "tool", "old"}
    assert names(tmp_path / "mirror") == {"new", "base", "late", "oldlib"}
    require_consistent(tmp_path / "mirror")
    assert list(listed(inner).values()) == [{dag_hash(name) for name in ("new", "base", "late", "oldlib")}]


def test_a_push_between_index_and_deletion_saves_what_it_needs(tmp_path: Path) -> None:
    inner = made(tmp_path)
    store = WatchedStore(inner)
    late, elsewhere = Made("late", ["oldlib"]), tmp_path / "elsewhere"
    mirror = MadeMirror(elsewhere, "v3", (*TREE, late), now=time.time(), has_index=False)
    original = store.list
    pushing = Lock()

    def list_after_push(prefix: str) -> Any:
        # Folders are listed at once; a push that is going on is not what this is about.
        with pushing:
            if ("write", "v3/manifests/index/index.manifest.json") in store.effects and mirror.root == elsewhere:
                mirror.root = tmp_path / "mirror"
                mirror.push(late)
        return original(prefix)

    store.list = list_after_push  # type: ignore[method-assign]
    outcome = run_clean(store)
    assert outcome.report is not None
    assert outcome.report.spared == (dag_hash("oldlib"),)
    assert {"late", "oldlib"} <= names(tmp_path / "mirror")
    require_consistent(tmp_path / "mirror")
    assert list(listed(inner).values()) == [{dag_hash(name) for name in ("new", "base", "late", "oldlib")}]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_index_of_an_unknown_version_is_refused_before_anything(tmp_path: Path, layout: LayoutName) -> None:
    inner = made(tmp_path, layout)
    root = tmp_path / "mirror"
    if layout == "v2":
        (root / "build_cache/index.json").write_text('{"database":{"version":"99","installs":{}}}')
    else:
        (file,) = survey(inner).inventory.indexes
        (root / file.blob).write_text('{"database":{"version":"99","installs":{}}}')
    store = WatchedStore(inner)
    with pytest.raises(RefusedError, match="index version '99' is not known"):
        run_clean(store)
    assert store.effects == []


def test_unknown_layouts_are_refused_and_other_folders_are_not_a_cache(tmp_path: Path) -> None:
    store = made(tmp_path)
    (tmp_path / "mirror" / "v4").mkdir()
    with pytest.raises(RefusedError, match="a layout that is not known"):
        run_clean(store)
    (tmp_path / "other" / "photos").mkdir(parents=True)
    with pytest.raises(NotThereError, match="no build cache, but photos"):
        run_clean(FileSystemStore(tmp_path / "other"))


def test_a_damaged_index_is_told_of_and_can_be_made_anew(tmp_path: Path) -> None:
    store = made(tmp_path, "v2")
    (tmp_path / "mirror/build_cache/index.json").write_text('{"database":{"version":"7","inst')
    with pytest.raises(DamagedError, match="spackitor reindex"):
        run_clean(store)
    assert make_indexes_fit(store, anew=True).specs == len(TREE)
    assert list(listed(store).values()) == [{dag_hash(spec.name) for spec in TREE}]


def test_an_empty_mirror_is_no_error(tmp_path: Path) -> None:
    assert run_clean(FileSystemStore(tmp_path)).plan.is_empty


def test_purging_takes_dependents_only_if_told(tmp_path: Path) -> None:
    store = made(tmp_path, "v2")
    with pytest.raises(RefusedError, match="3 specs depend on what is named"):
        run_purge(store, "base")
    outcome = run_purge(store, "base", dependents=True)
    assert removed(outcome).keys() == {"base", "lib", "app", "new"}
    assert removed(outcome)["base"] == "named by base"
    assert names(tmp_path / "mirror") == {"tool", "old", "oldlib"}


def test_purging_never_touches_what_is_in_use_or_young(tmp_path: Path) -> None:
    store = made(tmp_path, "v3", (*TREE, Made("fresh", ["tool"])))
    keep(store, "main", (roots("app"),), None)
    with pytest.raises(RefusedError, match=r"lib@1.0/.*: in use by roots \(main\)"):
        run_purge(store, "lib", dependents=True)
    with pytest.raises(RefusedError, match="younger than 1 days"):
        run_purge(store, "tool", dependents=True)
    with pytest.raises(NotThereError, match="nothing: no such spec"):
        run_purge(store, "nothing")


SPECS = st.integers(2, 9).flatmap(
    lambda count: st.tuples(
        *(
            st.builds(
                Made,
                st.just(f"p{number}"),
                st.lists(st.sampled_from([f"p{other}" for other in range(number)]), unique=True, max_size=3)
                if number
                else st.just([]),
                age=st.sampled_from([0.0, 5.0, 40.0, 90.0]),
                archive=st.sampled_from(["", "", "shared"]),
                is_listed=st.sampled_from([True, True, True, False]),
                is_cached=st.sampled_from([True, True, True, False]),
            )
            for number in range(count)
        )
    )
)


@given(SPECS, st.lists(st.integers(0, 8), max_size=2), st.sampled_from(LAYOUTS), st.booleans())
def test_nothing_in_use_ever_goes_and_the_index_equals_the_objects(
    tmp_path_factory: pytest.TempPathFactory,
    specs: tuple[Made, ...],
    used: list[int],
    layout: LayoutName,
    has_quarantine: bool,
) -> None:
    root = tmp_path_factory.mktemp("mirror")
    mirror = MadeMirror(root, layout, specs, now=time.time())
    store = FileSystemStore(root)
    chosen = [f"p{number}" for number in used if number < len(specs)]
    before = names(root)
    options = RunOptions(max_delete=100, has_quarantine=has_quarantine)
    # As a lockfile tells it: also what the roots need that are in neither cache nor index.
    told = {dag_hash(one.name): SpecNeeds(tuple(map(dag_hash, one.links)), ()) for one in specs}
    used_roots = replace(roots(*chosen), edges=told)
    plan = run_clean(store, options=options, roots=(used_roots,)).plan
    assert plan.size <= plan.total_size, "more goes than there is"
    after = names(root)
    require_consistent(root)
    needed = list(chosen)
    for name in needed:
        needed += [one for one in mirror.specs[name].links if one not in needed]
    assert before & set(needed) <= after, "something in use is gone"
    for name in after:
        assert before & set(mirror.specs[name].links) <= after, "something kept lost a dependency"
    users = [
        name
        for name in after
        if mirror.specs[name].age <= 30 and (mirror.specs[name].is_listed or mirror.specs[name].age < 1)
    ]
    for name in users:
        users += [one for one in mirror.specs[name].links if one not in users]
    assert after <= set(users) | set(needed), "something old and in no use is still there"
    if before:
        assert list(listed(store).values()) == [{dag_hash(name) for name in after}]
    assert run_clean(store, options=options, roots=(used_roots,)).plan.is_empty
