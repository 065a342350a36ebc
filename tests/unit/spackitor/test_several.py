"""Several mirrors in one call."""

from __future__ import annotations

import json
import time
from itertools import permutations
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from foundation.errors import CouldNotAskError, DamagedError, ExitCode, NotThereError, RefusedError
from foundation.stores.folder import FileSystemStore
from foundation.stores.store import Store
from spackitor.__main__ import main
from spackitor.cli import removal
from spackitor.cli.several import MirrorAddress, MirrorOutcome, addresses, worst
from tests.samples import SITE
from tests.unit.spackitor.cleaning import names
from tests.unit.spackitor.mirrors import Made, MadeMirror

TREE = (Made("old", age=100), Made("new", age=2), Made("more", age=2), Made("most", age=2))


def spackitor(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["-q", *map(str, arguments)])


@pytest.fixture(name="mirrors")
def mirrors_fixture(tmp_path: Path) -> tuple[Path, Path]:
    one = MadeMirror(tmp_path / "one", "v3", TREE, now=time.time()).root
    return one, MadeMirror(tmp_path / "two", "v2", TREE, now=time.time()).root


def test_each_is_cleaned_and_all_are_in_one_report(mirrors: tuple[Path, Path]) -> None:
    done = spackitor("clean", *mirrors, *mirrors, "--max-age", 30, "--dry-run")
    assert done.exit_code == 0, done.output
    assert "2 mirrors: 2 of 8 specs would go, " in done.stdout
    assert [names(root) for root in mirrors] == [{"old", "new", "more", "most"}] * 2
    done = spackitor("clean", *mirrors, "--max-age", 30, "--json")
    assert done.exit_code == 0, done.output
    value = json.loads(done.stdout)
    assert [one["mirror"] for one in value["mirrors"]] == [str(root) for root in mirrors]
    assert [one["report"]["removed"] for one in value["mirrors"]] == [1, 1]
    sums = value["totals"]
    assert (sums["mirrors"], sums["failed"], sums["total"], sums["planned"], sums["removed"]) == (2, 0, 8, 2, 2)
    assert [names(root) for root in mirrors] == [{"new", "more", "most"}] * 2


def test_one_that_fails_does_not_keep_the_others_from_it(mirrors: tuple[Path, Path], tmp_path: Path) -> None:
    one, two = mirrors
    (one / "v3" / "manifests" / "index" / "index.manifest.json").write_text("{")
    done = spackitor("clean", one, tmp_path / "nowhere", two, "--max-age", 30)
    assert done.exit_code == ExitCode.DAMAGED, done.output
    assert "3 mirrors, 2 of them failed: 1 of 4 specs removed" in done.stdout
    assert done.stderr.count("error: ") == 2
    assert f"{tmp_path / 'nowhere'}: no such folder" in done.stderr
    assert names(two) == {"new", "more", "most"}


def test_a_url_that_is_none_is_told_before_anything_is_cleaned(mirrors: tuple[Path, Path]) -> None:
    done = spackitor("clean", mirrors[1], "gopher://x", "--max-age", 30)
    assert done.exit_code == ExitCode.USAGE
    assert names(mirrors[1]) == {"old", "new", "more", "most"}
    assert spackitor("clean").exit_code == ExitCode.USAGE
    assert spackitor("clean", *mirrors, "--plan", "plan.json").exit_code == ExitCode.USAGE


def test_the_worst_code_does_not_depend_on_the_order() -> None:
    errors = [NotThereError("x"), CouldNotAskError("x"), RefusedError("x"), DamagedError("x")]
    for some in permutations([None, *errors]):
        assert worst(MirrorOutcome("m", error=error) for error in some) is ExitCode.DAMAGED
    assert worst([MirrorOutcome("m"), MirrorOutcome("n", error=RefusedError("x"))]) is ExitCode.REFUSED
    assert worst([MirrorOutcome("m")]) is ExitCode.OK


def test_the_caches_of_a_site_are_cleaned_each_by_its_own_age(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "spacktainers.yaml"
    file.write_text(SITE)
    found = {one.url: one for one in addresses(("s3://other/x",), "http://server", file)}
    assert found.pop("s3://other/x") == MirrorAddress("s3://other/x", "http://server")
    ages = {one.max_age for one in found.values()}
    assert found
    assert None not in ages
    roots = {
        url: MadeMirror(tmp_path / str(number), "v3", TREE, now=time.time()).root for number, url in enumerate(found)
    }

    def opened(_: object, url: str, endpoint: str | None) -> Store:
        del endpoint
        return FileSystemStore(roots[url])

    monkeypatch.setattr(removal, "store_of", opened)
    done = spackitor("clean", "--site", file)
    assert done.exit_code == 0, done.output
    for url, root in roots.items():
        gone = (found[url].max_age or 0) < 100
        assert ("old" in names(root)) == (not gone), url
