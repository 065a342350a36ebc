"""What can be wrong with a mirror or around it: truncated records, links, two cleanings at once, wrong prefixes."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from foundation.errors import DamagedError, ExitCode
from foundation.stores.folder import FileSystemStore
from spackitor.__main__ import main
from spackitor.commands import CleanRules, RunOptions, keep
from spackitor.policy.verdicts import DAY
from spackitor.removal.recovery import restore
from spackitor.survey.survey import survey
from tests.unit.spackitor.cleaning import ALL, TREE, names, roots, run_clean
from tests.unit.spackitor.mirrors import (
    LAYOUTS,
    LayoutName,
    MadeMirror,
    WatchedStore,
    dag_hash,
    listed,
    require_consistent,
)


def spackitor(*arguments: object) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments)])


@pytest.fixture(name="mirror", params=LAYOUTS)
def mirror_fixture(tmp_path: Path, request: pytest.FixtureRequest) -> MadeMirror:
    layout: LayoutName = request.param
    return MadeMirror(tmp_path / "mirror", layout, TREE, now=time.time())


def truncated(root: Path, folder: str) -> Path:
    (path,) = (root / ".spackitor" / folder).iterdir()
    path.write_bytes(path.read_bytes()[:40])
    return path


def test_while_a_record_of_a_run_cannot_be_read_everything_else_goes_on(mirror: MadeMirror) -> None:
    store = FileSystemStore(mirror.root)
    before = listed(store)
    outcome = run_clean(store, options=RunOptions(max_delete=100, grace=0))
    left = [mirror.root / key for one in outcome.plan.removals for key in one.archives]
    record = truncated(mirror.root, "runs")
    for command in ("list", "stats", "roots", "clean"):
        done = spackitor(command, mirror.root)
        assert done.exit_code == 0, done.output
        assert record.name in done.stderr
        assert "spackitor empty-quarantine --all" in done.stderr
    assert all(path.exists() for path in left), "what the run may have left in place"
    assert spackitor("check", mirror.root).exit_code == ExitCode.DAMAGED
    assert f"record: .spackitor/runs/{record.name}" in spackitor("check", mirror.root).stdout
    assert "not known" in spackitor("restore", mirror.root, "--list").stdout
    assert json.loads(spackitor("restore", mirror.root, "--list", "--json").stdout)[0]["until"] is None
    assert restore(store, record.stem).failed == {}
    assert listed(store) == before
    require_consistent(mirror.root)


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "half": lambda data: data[: len(data) // 2],
    "flipped": lambda data: (
        data[: len(data) // 2] + bytes(one ^ 255 for one in data[len(data) // 2 :][:8]) + data[-30:]
    ),
    "empty": lambda _: b"",
    "binary": lambda _: b"\xff\xfe\x00\x80" * 9,
    "deep": lambda _: b"[" * 100_000,
    "list": lambda _: b"[]",
    "null": lambda _: b"null",
    "no time": lambda data: data.replace(b'"until":', b'"until": 1e300, "other":'),
    "no list": lambda data: data.replace(b'"hashes":', b'"hashes": "none", "other":'),
    "infinite": lambda data: data.replace(b'"size":', b'"size": 1e999, "other":'),
}


@pytest.mark.parametrize("how", DAMAGE)
def test_however_a_side_file_is_damaged_no_command_breaks(mirror: MadeMirror, how: str) -> None:
    store = FileSystemStore(mirror.root)
    run_clean(store)
    keep(store, "a", (roots("new"),), 14)
    every = [path for path in (mirror.root / ".spackitor").rglob("*") if path.suffix in (".json", ".gz")]
    assert len(every) == (3 if (mirror.root / "v3").exists() else 2)
    for path in every:
        whole = path.read_bytes()
        path.write_bytes(DAMAGE[how](whole))
        for command in ("list", "stats", "check", "roots", "clean", "index", "sizes"):
            done = CliRunner().invoke(main, ["-q", command, str(mirror.root)])
            assert isinstance(done.exception, SystemExit | None), (path.name, command, done.output)
            assert done.exit_code in (0, ExitCode.DAMAGED, ExitCode.REFUSED), (path.name, command, done.output)
        assert dag_hash("new") in survey(store).inventory.usable
        path.write_bytes(whole)
    assert spackitor("restore", mirror.root).exit_code == 0
    assert names(mirror.root) == {one.name for one in TREE}


@pytest.mark.parametrize("days", ["1e12", "inf"])
def test_the_longest_time_is_the_end_of_the_calendar(mirror: MadeMirror, tmp_path: Path, days: str) -> None:
    (tmp_path / "keep").write_text(dag_hash("new"))
    kept = spackitor("keep", mirror.root, "--keep-file", tmp_path / "keep", "--as", "a", "--for", days)
    assert kept.exit_code in (0, ExitCode.USAGE), kept.output
    cleaned = spackitor("clean", mirror.root, "--max-age", "30", "--max-delete", "100", "--grace", days)
    assert cleaned.exit_code in (0, ExitCode.USAGE), cleaned.output
    for command in (["roots"], ["restore", "--list"], ["clean"]):
        assert spackitor(command[0], mirror.root, *command[1:]).exit_code == 0


def test_a_record_that_cannot_be_read_can_be_given_up(mirror: MadeMirror) -> None:
    store = FileSystemStore(mirror.root)
    outcome = run_clean(store)
    record = truncated(mirror.root, "runs")
    assert spackitor("empty-quarantine", mirror.root, "--all").exit_code == 0
    assert not record.exists()
    assert not list(mirror.root.rglob("*.removed"))
    assert run_clean(store, options=RunOptions(has_quarantine=False)).plan.leftovers
    assert not [key for one in outcome.plan.removals for key in one.archives if (mirror.root / key).exists()]


def test_roots_that_cannot_be_read_stop_only_what_removes(mirror: MadeMirror) -> None:
    store = FileSystemStore(mirror.root)
    keep(store, "feature/a", (roots("app"),), None)
    truncated(mirror.root, "roots")
    for command in (["list"], ["stats"]):
        assert spackitor(*command, mirror.root).exit_code == 0
    shown = spackitor("roots", mirror.root)
    assert shown.exit_code == ExitCode.DAMAGED
    assert "feature/a" in shown.stdout
    assert "cannot be read" in shown.stdout
    with pytest.raises(
        DamagedError, match=r"spackitor keep … --as feature/a, or drop it: spackitor forget … feature/a"
    ):
        run_clean(store)
    assert spackitor("purge", mirror.root, "old").exit_code == ExitCode.DAMAGED
    assert names(mirror.root) == {one.name for one in TREE}
    assert spackitor("forget", mirror.root, "feature/a").exit_code == 0
    assert run_clean(store).plan.removals


@pytest.mark.parametrize("outside", [True, False], ids=["out of the mirror", "within"])
def test_linked_manifests_are_read_and_left_alone(mirror: MadeMirror, tmp_path: Path, outside: bool) -> None:
    """As where somebody put a copy of links over a mirror that is shared, or moved what takes the space."""
    (found,) = [
        path
        for path in mirror.root.rglob("*old-1.0-*")
        if path.name.endswith((".spec.manifest.json", ".spec.json.sig"))
    ]
    target = (tmp_path / "elsewhere" if outside else mirror.root / "blobs" / "moved") / found.name
    target.parent.mkdir(parents=True)
    shutil.move(found, target)
    found.symlink_to(os.path.relpath(target, found.parent))
    store = FileSystemStore(mirror.root)
    outcome = run_clean(store)
    assert {one.name for one in outcome.plan.removals} == {"app", "lib", "tool"}
    assert found.is_symlink()
    assert {dag_hash("old"), dag_hash("oldlib")} < set().union(*listed(store).values())
    require_consistent(mirror.root)
    assert spackitor("list", mirror.root, "old").exit_code == 0
    assert restore(store, None).failed == {}
    assert found.is_symlink()


def test_of_a_link_that_leads_nowhere_nothing_is_known_and_no_blob_goes(tmp_path: Path) -> None:
    mirror = MadeMirror(tmp_path / "mirror", "v3", TREE, now=time.time())
    manifest = mirror.root / mirror.manifest_key(mirror.specs["old"])
    manifest.unlink()
    manifest.symlink_to(tmp_path / "not-mounted")
    index = {mirror.root / file.blob for file in survey(FileSystemStore(mirror.root)).inventory.indexes}
    blobs = set((mirror.root / "blobs").rglob("*")) - index
    outcome = run_clean(FileSystemStore(mirror.root), options=RunOptions(max_delete=100, has_quarantine=False))
    assert outcome.plan.removals
    assert blobs <= set((mirror.root / "blobs").rglob("*"))
    assert manifest.is_symlink()


def test_two_cleanings_at_once_leave_one_record(mirror: MadeMirror) -> None:
    """The other one goes through between this one's plan and its first effect."""
    store = WatchedStore(FileSystemStore(mirror.root))
    before = listed(FileSystemStore(mirror.root))

    def other(_what: str, _key: str) -> None:
        store.before = lambda _what, _key: None
        run_clean(FileSystemStore(mirror.root))

    store.before = other
    run_clean(store)
    runs = [run for run in survey(store).inventory.runs if run.hashes or run.moved]
    assert [len(run.hashes) for run in runs] == [5]
    assert restore(store, None).failed == {}
    assert listed(store) == before


def test_two_cleanings_without_an_index_leave_one_record_of_what_happened(tmp_path: Path) -> None:
    """Nothing tells them of each other: no index is written."""
    mirror = MadeMirror(tmp_path / "mirror", "v3", TREE, now=time.time(), has_index=False)
    mirror.write_index(view="prod", names=("new",))
    store = WatchedStore(FileSystemStore(mirror.root))

    def other(what: str, _key: str) -> None:
        if what == "copy":
            store.before = lambda _what, _key: None
            run_clean(FileSystemStore(mirror.root))

    store.before = other
    outcome = run_clean(store)
    assert outcome.report is not None
    assert outcome.report.removed == 0
    (run,) = survey(store).inventory.runs
    assert len(run.moved) == 5
    assert restore(store, None).count == 5
    assert names(mirror.root) == {one.name for one in TREE}


@pytest.mark.parametrize(
    "command", [("clean",), ("clean", "--sources"), ("list",), ("stats",), ("check",), ("reindex",)]
)
def test_an_empty_mirror_is_no_success_unless_it_may_be_one(tmp_path: Path, command: tuple[str, ...]) -> None:
    lock = tmp_path / "keep"
    lock.write_text(dag_hash("x"))
    (tmp_path / "mirror").mkdir()
    assert spackitor("keep", tmp_path / "mirror", "--keep-file", lock, "--as", "main").exit_code == 0
    name, *options = command
    done = spackitor(name, tmp_path / "mirror", *options)
    assert done.exit_code == ExitCode.NOT_THERE
    assert "is that the right prefix?" in done.stderr
    if options:
        return  # without a lockfile, no source may go
    assert spackitor(name, tmp_path / "mirror", "--may-be-empty").exit_code == 0


def test_what_is_dated_in_the_future_is_told_of(mirror: MadeMirror) -> None:
    store = FileSystemStore(mirror.root)
    for path in mirror.root.rglob("*old-1.0-*.json*"):
        os.utime(path, (mirror.now + 400 * DAY,) * 2)
    done = spackitor("check", mirror.root)
    assert done.exit_code == ExitCode.DAMAGED
    assert "is dated 400 days in the future, and stays as long" in done.stdout
    assert {one.name for one in run_clean(store).plan.removals} == {"app", "lib", "tool"}


class VersionedStore(WatchedStore):
    def keeps_versions(self) -> bool:
        return True


def test_that_a_versioned_bucket_frees_nothing_is_said_where_something_is_deleted_for_good(
    mirror: MadeMirror,
) -> None:
    store = VersionedStore(FileSystemStore(mirror.root))
    at_once = RunOptions(max_delete=100, has_quarantine=False, is_dry_run=True)
    assert run_clean(store, options=at_once).keeps_versions
    assert not run_clean(store, CleanRules(), at_once).keeps_versions
    assert not run_clean(store, options=ALL).keeps_versions
