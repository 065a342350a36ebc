"""Runs: what became of packages, from the records of `jc build` and of package jobs, and what their forms say."""

from __future__ import annotations

import gzip
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from foundation.errors import ExitCode
from job_creator.__main__ import main
from job_creator.reports.forms.files import FILES
from job_creator.reports.forms.markdown import markdown
from job_creator.reports.forms.page import page
from job_creator.reports.forms.trace import trace_value
from job_creator.reports.report import PackageState
from job_creator.runs.folder import RunFolder
from tests.build_runs import dag_hash, lock_of
from tests.report_samples import DIAMOND, HOSTILE, failed_run, ran, record

LOG = "checking\nhdf5.c:3:1: error: unknown type name 'foo'\nmake: *** [all] Error 2\n"


def test_a_run_says_what_failed_and_what_that_blocked() -> None:
    report = failed_run()
    (failure,) = report.failures
    assert (failure.name, failure.kind, failure.blocked) == ("hdf5@1.0", "own", 1)
    assert failure.error.startswith("hdf5.c:1:1: error: ")
    assert report.counts == {PackageState.FAILED: 1, PackageState.SKIPPED: 1, PackageState.BUILT: 2}
    assert report.cache is not None
    assert (report.cache.present, report.cache.lacking) == (3, 4)
    assert [report.by_hash[key].name for key in report.critical] == ["zlib@1.0", "python@1.0"]


def test_jobs_stand_where_and_when_they_were() -> None:
    schedule = failed_run().schedule
    assert schedule is not None
    assert schedule.runners == (HOSTILE, "node1/0")
    found = {bar.name: (bar.lane, bar.start, bar.finish, bar.is_failed) for bar in schedule.bars}
    assert found == {
        "zlib@1.0": (1, 0, 30, False),
        "hdf5@1.0": (0, 30, 80, True),
        "python@1.0": (1, 30.5, 120.5, False),
    }
    assert schedule.seconds == 120.5


def test_what_nobody_wrote_down_is_not_known() -> None:
    report = ran(DIAMOND, record("zlib", "built", seconds=30), record("hdf5", "failed", seconds=50))
    assert report.schedule is None
    assert any("when packages were built" in one for one in report.unknown)
    assert any("the first error of 1 of 1 failures" in one for one in report.unknown)
    assert report.counts[PackageState.OPEN] == 2
    assert trace_value(report)["traceEvents"] == []


def test_packages_of_a_build_cache_count_as_hits() -> None:
    report = ran({"a": (), "b": ()}, record("a", "reused", 10, 2), record("b", "built", 12, 5))
    assert report.cache is not None
    assert (report.cache.present, report.cache.lacking, report.cache.rate) == (4, 1, 0.8)


# Files


def build_folder(path: Path) -> Path:
    steps = [
        {
            "hash": dag_hash(name),
            "package": name,
            "version": "1.0",
            "environment": "neuron",
            "needs": [dag_hash(one) for one in needs],
        }
        for name, needs in DIAMOND.items()
    ]
    folder = RunFolder(path)
    folder.create({"version": 1, "run": "x", "engine": "local", "mirror": "m", "present": 2, "steps": steps}, {})
    log = path / "steps" / "hdf5" / "log.txt"
    log.parent.mkdir(parents=True)
    log.write_text(LOG)
    folder.add_record(record("zlib", "failed", 990, 5))
    folder.add_record(record("zlib", "built", 1_000, 30))
    folder.add_record(record("hdf5", "failed", 1_030, 50, log="steps/hdf5/log.txt"))
    folder.add_record(record("app", "skipped"))
    return path


def job_artifacts(path: Path) -> Path:
    """What package jobs of GitLab leave, each below a folder of its own, as `ga` fetches them."""
    for number, name in enumerate(("zlib", "hdf5", "app")):
        root = path / f"job-{number}" / "jobs_scratch_dir.amd64" / "neuron"
        (root / "outcomes").mkdir(parents=True)
        state = {"zlib": "built", "hdf5": "failed", "app": "skipped"}[name]
        value = json.loads(record(name, state, 1_000 + number, 20 if state != "skipped" else 0).line())
        kept = (
            "hash",
            "package",
            "version",
            "environment",
            "state",
            "because",
            "seconds",
            "peak_memory_bytes",
            "started",
        )
        line = {key: value[key] for key in kept if key != "started" or state != "skipped"}
        (root / "outcomes" / "packages.jsonl").write_text(json.dumps(line) + "\n")
        if state == "failed":
            logs = root / "logs" / f"{name}-{dag_hash(name)[:7]}" / "deep"
            logs.mkdir(parents=True)
            (logs / "spack-build-out.txt.gz").write_bytes(gzip.compress(LOG.encode()))
    return path


def told(*arguments: str) -> Any:
    done = CliRunner().invoke(main, ["report", "run", *arguments, "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.output)


def test_the_folder_of_a_build_is_reported(tmp_path: Path) -> None:
    value = told(str(build_folder(tmp_path)))
    assert value["counts"] == {"failed": 1, "skipped": 1, "open": 1, "built": 1}
    (failure,) = value["failures"]
    assert (failure["error"], failure["blocked"]) == ("hdf5.c:3:1: error: unknown type name 'foo'", 1)
    assert value["schedule"]["seconds"] == 80


def test_artifacts_of_package_jobs_are_reported(tmp_path: Path) -> None:
    alone = told(str(job_artifacts(tmp_path / "artifacts")))
    assert alone["failures"][0]["blocked"] is None
    assert alone["failures"][0]["error"] == "hdf5.c:3:1: error: unknown type name 'foo'"
    assert any("--locks" in one for one in alone["unknown"])
    (tmp_path / "spack.lock").write_bytes(lock_of(DIAMOND))
    value = told(str(tmp_path / "artifacts"), "--locks", str(tmp_path / "spack.lock"))
    assert value["failures"][0]["blocked"] == 1
    assert value["schedule"]["seconds"] == 21


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_half_a_log_is_read_as_far_as_it_goes(tmp_path: Path, cut: int) -> None:
    log = next(job_artifacts(tmp_path).rglob("*.gz"))
    log.write_bytes(log.read_bytes()[:-cut])
    assert told(str(tmp_path))["failures"][0]["name"] == "hdf5@1.0"


def test_what_is_no_run_is_told(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["report", "run", str(tmp_path)])
    assert done.exit_code == ExitCode.NOT_THERE
    (tmp_path / "packages.jsonl").write_text('{"hash": 1}\n')
    done = CliRunner().invoke(main, ["report", "run", str(tmp_path)])
    assert done.exit_code == ExitCode.INVALID_INPUT


# What others say is text


class Elements(HTMLParser):
    """The elements of a page, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_hostile_words_are_no_elements_of_the_page() -> None:
    made = Elements(page(failed_run()))
    tags = [tag for tag, _ in made.found]
    assert tags.count("script") == 1
    assert "img" not in tags
    assert not [name for _, attributes in made.found for name in attributes if name.startswith("on")]
    # Title, heading, the error, and the name of a runner.
    assert made.text.count(HOSTILE) == 4


def test_hostile_words_are_no_markdown() -> None:
    text = markdown(failed_run())
    assert "<script" not in text.replace("\\<", "")
    assert all(line.count("|") - line.count("\\|") in (3, 4, 6) for line in text.splitlines() if line.startswith("|"))


def test_a_page_loads_nothing() -> None:
    text = page(failed_run())
    addresses = [
        value for _, attributes in Elements(text).found for name, value in attributes.items() if name in ("src", "href")
    ]
    assert all(value and value.startswith("#") for value in addresses)
    assert "url(" not in text
    assert "@import" not in text


def test_all_forms_can_be_written() -> None:
    for name, write in FILES.values():
        assert write(failed_run()), name
