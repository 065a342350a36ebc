"""Cleaning the sources of a mirror: what goes, what never does, and what is left wherever it is cut off."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from foundation.errors import DamagedError, ExitCode, NotThereError, RefusedError
from foundation.spack.source_needs import NEEDS_KEY, read_needs
from foundation.stores.folder import FileSystemStore
from foundation.stores.store import Store
from spackitor.__main__ import main
from spackitor.commands import RunOptions, RunOutcome, clean_sources, empty_quarantine, keep
from spackitor.inventory.roots import RootSet, roots_of_keep_list, roots_of_lockfile
from spackitor.policy.verdicts import DAY
from spackitor.removal.recovery import restore
from spackitor.removal.sources import survey_sources
from spackitor.survey.survey import survey
from tests.unit.spackitor.cleaning import run_clean
from tests.unit.spackitor.mirrors import (
    LAYOUTS,
    Killed,
    LayoutName,
    Made,
    MadeMirror,
    WatchedStore,
    dag_hash,
    require_consistent,
)
from tests.unit.spackitor.source_mirrors import Package, key_of, lockfile, needs_of, sha256, write_sources

ALL = RunOptions(max_delete=100)
AT_ONCE = RunOptions(max_delete=100, has_quarantine=False)
PACKAGES = (
    Package("app", ["app 1.0", "a patch"], ["lib", "glibc"], ["tool"]),
    Package("lib", ["lib 1.0"], age=90),
    Package("tool", ["tool 1.0"]),
    Package("old", ["old 1.0", "a patch"], ["oldlib"]),
    Package("oldlib", ["oldlib 1.0"], age=50),
    Package("new", ["new 1.0"], age=0.1),
    Package("glibc", [], is_external=True),
)
KEPT = ("app 1.0", "a patch", "lib 1.0", "tool 1.0")


def run(store: Store, *roots: RootSet, options: RunOptions = ALL, max_age: float | None = None) -> RunOutcome:
    return clean_sources(store, roots, max_age, options, lambda _: None, lambda *_: None)


def lock(*roots: str, packages: tuple[Package, ...] = PACKAGES) -> RootSet:
    return roots_of_lockfile(lockfile(packages, roots), "spack.lock")


def made(tmp_path: Path, packages: tuple[Package, ...] = PACKAGES) -> FileSystemStore:
    return FileSystemStore(write_sources(tmp_path, packages))


def there(root: Path) -> set[str]:
    """The content of all sources, read by their readable names as well."""
    files = {path.read_text() for path in (root / "_source-cache").rglob("*") if path.is_file()}
    links = [path for path in root.glob("[!._]*/*") if path.is_symlink()]
    assert all(path.exists() for path in links), "a link that leads nowhere"
    assert {path.read_text() for path in links} <= files
    return files


def recorded(root: Path) -> set[str]:
    return {one.name for one in read_needs((root / NEEDS_KEY).read_bytes(), "needs").packages.values()}


def files(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and ".spackitor" not in path.parts
    }


def removed(outcome: RunOutcome) -> dict[str, str]:
    return {one.name: one.reason for one in outcome.plan.removals}


def test_what_no_kept_lockfile_needs_goes_with_its_readable_names(tmp_path: Path) -> None:
    outcome = run(made(tmp_path), lock("app"))
    assert removed(outcome) == {"old": "100 days old and in no use", "oldlib": "50 days old and in no use"}
    assert there(tmp_path) == {*KEPT, "new 1.0"}
    # The patch that both need is still there, and so is the name that leads to it from the package that stays.
    assert sorted(path.name for path in tmp_path.glob("old*/*")) == ["old-1.0-1.tar.gz"]
    assert recorded(tmp_path) == {"app", "lib", "tool", "new"}
    assert outcome.report is not None
    assert (outcome.report.removed, outcome.report.failed) == (2, {})


def test_what_only_builds_a_kept_package_stays(tmp_path: Path) -> None:
    """Other than binaries: without the sources of the compiler's tools, nothing can be built."""
    run(made(tmp_path), lock("app"))
    assert "tool 1.0" in there(tmp_path)


def test_age_limits_hold(tmp_path: Path) -> None:
    store = made(tmp_path)
    assert removed(run(store, lock("app"), options=replace(ALL, is_dry_run=True), max_age=60)).keys() == {"old"}
    assert run(store, lock("app"), options=replace(ALL, is_dry_run=True, min_age=200)).plan.is_empty
    assert removed(run(store, lock("app"), options=replace(ALL, min_age=0))).keys() == {"old", "oldlib", "new"}


def test_recorded_roots_keep_what_they_need_until_they_are_over(tmp_path: Path) -> None:
    store = made(tmp_path)
    keep(store, "branch", (lock("old"),), None)
    keep(store, "main", (lock("app"),), None)
    assert run(store).plan.is_empty
    keep(store, "branch", (lock("old"),), 1e-9)
    assert removed(run(store)).keys() == {"old", "oldlib"}


def test_nothing_goes_while_the_needs_of_a_kept_package_are_not_recorded(tmp_path: Path) -> None:
    store = made(tmp_path, PACKAGES[:-2])
    unknown = (*PACKAGES, Package("other", ["other 1.0"]))
    watched = WatchedStore(store)
    with pytest.raises(RefusedError, match=r"not recorded .* 1 packages of spack\.lock .*jc mirror create"):
        run(watched, lock("app"), lock("other", packages=unknown))
    assert watched.effects == []


def test_a_mirror_without_record_keeps_everything(tmp_path: Path) -> None:
    store = made(tmp_path)
    (tmp_path / NEEDS_KEY).unlink()
    with pytest.raises(RefusedError, match="not recorded"):
        run(store, lock("app"))
    (tmp_path / NEEDS_KEY).write_text("{")
    with pytest.raises(DamagedError, match="not laid out as expected"):
        run(store, lock("app"))


def test_without_lockfiles_nothing_goes(tmp_path: Path) -> None:
    store = made(tmp_path)
    with pytest.raises(RefusedError, match="no lockfile is kept"):
        run(store)
    keep(store, "hashes", (roots_of_keep_list(dag_hash("app").encode(), "keep"),), None)
    with pytest.raises(RefusedError, match=r"says nothing of what /.* depends on"):
        run(store, lock("app"))


def test_what_nobody_recorded_goes_and_is_said_to_be_unknown(tmp_path: Path) -> None:
    store = made(tmp_path)
    stray = tmp_path / key_of("stray")
    stray.parent.mkdir()
    stray.write_text("stray")
    assert run(store, lock("app", "old"), options=replace(ALL, is_dry_run=True)).plan.is_empty  # it is young
    outcome = run(store, lock("app", "old"), options=replace(ALL, min_age=0))
    assert removed(outcome)[f"{sha256('stray')}.tar.gz"] == "0 days old and in no use, nor recorded what it is for"


def test_readable_names_that_are_copies_count_before_as_well(tmp_path: Path) -> None:
    """Where a mirror came over a medium without links, every name is a file of its own."""
    packages = (Package("app", ["small"]), Package("old", ["large" * 100]))
    store = made(tmp_path, packages)
    for link in [path for path in tmp_path.glob("old/*") if path.is_symlink()]:
        content = link.read_text()
        link.unlink()
        link.write_text(content)
        os.utime(link, (0, 0))
    plan = run(store, lock("app", packages=packages), options=replace(ALL, is_dry_run=True)).plan
    assert (plan.size, plan.total_size >= plan.size) == (1000, True)


def test_too_large_a_share_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match=r"2 of 7 sources would go \(29%\), more than --max-delete 20"):
        run(made(tmp_path), lock("app"), options=RunOptions(max_delete=20))


@pytest.mark.parametrize("options", [ALL, AT_ONCE], ids=["quarantine", "at once"])
def test_a_second_run_does_nothing(tmp_path: Path, options: RunOptions) -> None:
    store = made(tmp_path)
    run(store, lock("app"), options=options)
    store.requests.clear()
    assert run(store, lock("app"), options=options).plan.is_empty
    assert not store.requests.keys() & {"PUT", "DELETE", "COPY"}


def test_what_was_removed_comes_back_and_counts_as_new(tmp_path: Path) -> None:
    store = made(tmp_path)
    before = files(tmp_path)
    run(store, lock("app"))
    done = restore(store, None)
    assert (done.count, done.failed) == (2, {})
    after = files(tmp_path)
    assert after.pop(NEEDS_KEY) == before.pop(NEEDS_KEY)
    assert after == before
    there(tmp_path)
    assert run(store, lock("app")).plan.is_empty
    assert not [path for path in (tmp_path / ".spackitor/quarantine").rglob("*") if not path.is_dir()]


def test_what_came_again_meanwhile_is_left_as_it_is(tmp_path: Path) -> None:
    store = made(tmp_path)
    run(store, lock("app"))
    write_sources_again = tmp_path / key_of("old 1.0")
    write_sources_again.parent.mkdir(exist_ok=True)
    write_sources_again.write_text("old 1.0")
    inode = write_sources_again.stat().st_ino
    assert restore(store, None).failed == {}
    assert write_sources_again.stat().st_ino == inode
    assert there(tmp_path) == {content for one in PACKAGES for content in one.contents}


def test_the_time_of_grace_ends(tmp_path: Path) -> None:
    store = made(tmp_path)
    run(store, lock("app"), options=replace(ALL, grace=0))
    outcome = run(store, lock("app"))
    assert len(outcome.plan.expired_runs) == 1
    assert not [path for path in (tmp_path / ".spackitor").rglob("*") if path.is_file() or path.is_symlink()]
    with pytest.raises(NotThereError, match="no such run in the quarantine"):
        restore(store, None)


def test_emptying_the_quarantine_takes_sources_too(tmp_path: Path) -> None:
    store = made(tmp_path)
    run(store, lock("app"))
    empty_quarantine(store, RunOptions(), everything=True, show=lambda _: None, progress=lambda *_: None)
    assert not [path for path in (tmp_path / ".spackitor").rglob("*") if path.is_file() or path.is_symlink()]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_neither_half_touches_the_other(tmp_path: Path, layout: LayoutName) -> None:
    specs = (Made("app", age=100), Made("gone", age=100), Made("other", age=100))
    MadeMirror(tmp_path, layout, specs, now=time.time())
    store = made(tmp_path)
    for extra in ("recipes/spack.git/HEAD", "bootstrap/metadata/sources/metadata.yaml"):
        (tmp_path / extra).parent.mkdir(parents=True)
        (tmp_path / extra).write_text("something")
    before = files(tmp_path)
    run(store, lock("app"))
    gone = before.keys() - files(tmp_path).keys()
    assert gone
    assert all(name.startswith(("_source-cache/", "old")) for name in gone)
    before = files(tmp_path)
    # The runs of the sources' half are not undone by the other's.
    run_clean(store, roots=(RootSet("r", (dag_hash("app"),)),))
    gone = before.keys() - files(tmp_path).keys()
    assert gone
    assert all(name.startswith(("v3/", "blobs/", "build_cache/")) for name in gone)
    assert there(tmp_path) == {*KEPT, "new 1.0"}
    require_consistent(tmp_path)
    sources = next(one for one in survey_sources(store).runs if one.is_of_sources)
    assert restore(store, sources.id).count == 2
    assert len(survey(store).inventory.usable) == 1


def test_a_mirror_of_sources_alone_is_no_fault_of_the_binaries(tmp_path: Path) -> None:
    assert run_clean(made(tmp_path)).plan.is_empty


def _effects(tmp_path: Path, action: Callable[[Store], object]) -> list[tuple[str, str]]:
    watched = WatchedStore(made(tmp_path))
    action(watched)
    return watched.effects


@pytest.mark.parametrize("options", [ALL, AT_ONCE], ids=["quarantine", "at once"])
def test_killed_anywhere_nothing_kept_is_lost_and_the_next_run_finishes(tmp_path: Path, options: RunOptions) -> None:
    def action(store: Store) -> object:
        return run(store, lock("app"), options=options)

    count = len(_effects(tmp_path / "count", action))
    assert count >= 5
    for number in range(count):
        root = tmp_path / str(number)
        store = made(root)
        with pytest.raises(Killed):
            action(WatchedStore(store, kill_after=number))
        assert {*KEPT, "new 1.0"} <= there(root), number
        assert {"app", "lib", "tool", "new"} <= recorded(root), number
        action(store)
        assert there(root) == {*KEPT, "new 1.0"}, number
        assert recorded(root) <= {"app", "lib", "tool", "new", "old", "oldlib"}
        assert run(store, lock("app"), options=options).plan.is_empty, number


def test_a_restore_that_was_killed_can_be_repeated(tmp_path: Path) -> None:
    def cleaned(root: Path) -> FileSystemStore:
        store = made(root)
        run(store, lock("app"))
        return store

    watched = WatchedStore(cleaned(tmp_path / "count"))
    restore(watched, None)
    for number in range(len(watched.effects)):
        root = tmp_path / str(number)
        store = cleaned(root)
        with pytest.raises(Killed):
            restore(WatchedStore(store, kill_after=number), None)
        there(root)
        with suppress(NotThereError):  # all is back, and only its record was not yet written
            restore(store, None)
        assert there(root) == {content for one in PACKAGES for content in one.contents}, number
        assert recorded(root) == {"app", "lib", "tool", "new", "old", "oldlib"}, number


def test_what_somebody_records_while_it_is_planned_makes_another_plan(tmp_path: Path) -> None:
    inner = made(tmp_path)
    store = WatchedStore(inner)
    more = (*PACKAGES, Package("late", ["late 1.0"]))
    pushed: list[str] = []

    def record(what: str, key: str) -> None:
        if (what, key) == ("write", NEEDS_KEY) and not pushed:
            pushed.append(key)
            write_needs(tmp_path, more)

    store.before = record
    run(store, lock("app"))
    assert there(tmp_path) == {*KEPT, "new 1.0"}
    assert recorded(tmp_path) == {"app", "lib", "tool", "new", "late"}


def write_needs(root: Path, packages: tuple[Package, ...]) -> None:
    (root / NEEDS_KEY).write_bytes(needs_of(packages).as_json())


def test_what_somebody_comes_to_need_while_it_goes_is_brought_back(tmp_path: Path) -> None:
    """The last moment: the archive was there when 'jc mirror create' looked, and it has just been removed."""
    store = WatchedStore(made(tmp_path))

    def record(what: str, key: str) -> None:
        if (what, key) == ("delete", key_of("oldlib 1.0")):
            write_needs(tmp_path, tuple(one for one in PACKAGES if one.name != "old"))

    store.before = record
    outcome = run(store, lock("app"))
    assert outcome.report is not None
    assert outcome.report.spared == (sha256("oldlib 1.0"),)
    assert there(tmp_path) == {*KEPT, "new 1.0", "oldlib 1.0"}


@given(
    st.lists(st.tuples(st.sets(st.integers(0, 5)), st.sets(st.integers(0, 3)), st.integers(0, 40)), max_size=6),
    st.sets(st.integers(0, 5)),
)
def test_exactly_what_is_old_and_not_needed_goes(
    tmp_path_factory: pytest.TempPathFactory, made_of: list[tuple[set[int], set[int], int]], kept: set[int]
) -> None:
    packages = tuple(
        Package(
            f"p{number}",
            [f"content {one}" for one in sorted(sources)],
            [f"p{other}" for other in sorted(needs) if other < number],
            age=age,
        )
        for number, (sources, needs, age) in enumerate(made_of)
    )
    roots = [f"p{number}" for number in sorted(kept) if number < len(packages)]
    if not roots:
        return
    root = tmp_path_factory.mktemp("mirror")
    for one in packages:  # what several packages need is as old as the last of them says
        for path in one.contents:
            (root / key_of(path)).unlink(missing_ok=True)
        for link in (root / one.name).glob("*"):
            link.unlink()
        write_sources(root, (one,))
    write_needs(root, packages)
    store = FileSystemStore(root)
    roots_kept = lock(*roots, packages=packages)
    wanted = {content for one in packages if dag_hash(one.name) in roots_kept.edges for content in one.contents}
    now = time.time()
    old = {
        path.read_text()
        for path in (root / "_source-cache").rglob("*")
        if path.is_file() and path.stat().st_mtime < now - DAY
    }
    before = {path.read_text() for path in (root / "_source-cache").rglob("*") if path.is_file()}
    run(store, roots_kept)
    assert there(root) == before - (old - wanted)
    assert run(store, roots_kept).plan.is_empty
    restore_all(store)
    assert there(root) == before


def restore_all(store: Store) -> None:
    while any(one.moved for one in survey_sources(store).runs):
        restore(store, None)


def test_the_command(tmp_path: Path) -> None:
    made(tmp_path / "mirror")
    locked = tmp_path / "spack.lock"
    locked.write_bytes(lockfile(PACKAGES, ["app"]))
    invoke = CliRunner().invoke
    argv = ["clean", "--sources", str(tmp_path / "mirror"), "-e", str(locked)]
    done = invoke(main, [*argv, "--dry-run"])
    assert done.exit_code == 0, done.output
    assert "2 of 7 sources would go, 5 stay (5 in use or too young to be judged)" in done.stdout
    assert "2 too old and in no use" in done.stdout
    assert there(tmp_path / "mirror") >= {"old 1.0"}
    done = invoke(main, argv)
    assert "2 sources removed" in done.stdout
    done = invoke(main, ["restore", str(tmp_path / "mirror")])
    assert "2 sources of run" in done.stdout
    done = invoke(main, [*argv, "--max-size", "1G"])
    assert done.exit_code == ExitCode.USAGE
    assert "goes by lockfiles (-e) and ages only" in done.stderr
    done = invoke(main, ["clean", "--sources", str(tmp_path / "mirror")])
    assert done.exit_code == ExitCode.REFUSED
