"""Plans: what is to be built, how the simulator plays it, and what their forms say."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from foundation.errors import ExitCode, InvalidInputError
from job_creator.__main__ import main
from job_creator.builds.durations import Durations, default_durations
from job_creator.pipelines.packages import read_tree
from job_creator.reports.changes import edges_of
from job_creator.reports.forms.files import FILES
from job_creator.reports.forms.markdown import ROWS, markdown
from job_creator.reports.forms.metrics import metrics_text
from job_creator.reports.forms.trace import trace_value
from job_creator.reports.locked import read_packages
from job_creator.reports.planned import PlanFacts, plan_report
from job_creator.reports.reading import tree_of
from job_creator.reports.report import StackReport
from job_creator.reports.schedules import lanes_of, named_lanes
from job_creator.reports.sections import clock, sections
from tests.build_runs import dag_hash
from tests.report_samples import DIAMOND, large_plan, planned, stack
from tests.samples import REPOSITORY, SITE
from tests.spack_ci import RECORDINGS

GOLDEN = REPOSITORY / "tests" / "golden" / "reports"
SECONDS = {"zlib": 100.0, "hdf5": 50.0, "python": 80.0, "app": 20.0}


def section(report: StackReport, key: str) -> tuple[tuple[str, ...], ...]:
    return next(one.rows for one in sections(report) if one.key == key)


# What is planned


def test_a_plan_says_times_chain_and_what_would_help() -> None:
    report = planned(DIAMOND, SECONDS)
    assert [report.by_hash[key].name for key in report.critical] == ["zlib@1.0", "python@1.0", "app@1.0"]
    assert report.schedule is not None
    assert (report.schedule.seconds, report.critical_seconds, report.work_seconds) == (200, 200, 250)
    # python half as long makes hdf5 the longer one: 10 seconds of its 40 help nobody.
    assert {one.name: one.saved for one in report.what_if} == {"zlib@1.0": 50, "python@1.0": 30, "app@1.0": 10}
    assert next((one.runners, one.seconds, one.at_least) for one in report.estimates) == (2, 200, 200)
    assert len(report.estimates) == 4


def test_with_one_runner_all_comes_one_after_the_other() -> None:
    report = planned(DIAMOND, SECONDS, runners=1)
    assert report.schedule is not None
    assert report.schedule.seconds == 250
    assert report.schedule.lanes == 1


def test_only_what_is_new_is_built_where_no_pipeline_says_more() -> None:
    report = planned({**DIAMOND, "tool": ("app",)}, SECONDS, before=DIAMOND)
    assert [one.name for one in report.packages] == ["tool@1.0"]
    assert report.cache is None
    assert any("what the build cache has" in one for one in report.unknown)
    assert [one.why for one in report.packages] == ["new"]


def test_nothing_to_build_is_a_report_too() -> None:
    report = planned(DIAMOND, SECONDS, before=DIAMOND)
    assert report.packages == ()
    assert dict(report.facts())["packages"] == "nothing to build"
    assert "nothing changes" in markdown(report)
    for _, write in FILES.values():
        assert write(report)


def test_what_is_guessed_is_told() -> None:
    assert any("4 of 4 packages" in one for one in planned(DIAMOND, SECONDS).unknown)
    facts = PlanFacts("x", stack(DIAMOND), None, Durations(SECONDS, measured=frozenset(SECONDS)), 1)
    assert not any("guesses" in one for one in plan_report(facts).unknown)


@st.composite
def graphs(draw: st.DrawFn) -> Mapping[str, Sequence[str]]:
    count = draw(st.integers(1, 12))
    return {
        f"p{index}": tuple(
            draw(st.sets(st.sampled_from([f"p{one}" for one in range(index)]), max_size=3)) if index else ()
        )
        for index in range(count)
    }


@given(graphs(), st.integers(1, 5), st.randoms(use_true_random=False))
def test_a_schedule_keeps_the_order_and_no_runner_does_two_things(
    needs: Mapping[str, Sequence[str]], runners: int, chance: Any
) -> None:
    seconds = {name: float(chance.randrange(1, 100)) for name in needs}
    report = planned(needs, seconds, runners)
    assert report.schedule is not None
    bars = {bar.packages[0]: bar for bar in report.schedule.bars}
    assert bars.keys() == {dag_hash(name) for name in needs}
    for key, below in edges_of(stack(needs)).items():
        assert all(bars[one].finish <= bars[key].start for one in below)
    assert report.schedule.lanes <= runners
    for lane in range(report.schedule.lanes):
        own = sorted((bar.start, bar.finish) for bar in bars.values() if bar.lane == lane)
        assert all(one[1] <= other[0] for one, other in pairwise(own))
    assert report.schedule.seconds >= max(report.critical_seconds, report.work_seconds / runners) - 1e-6
    steps = report.schedule.concurrency()
    running = sum((other[0] - one[0]) * one[1] for one, other in pairwise(steps))
    assert running == pytest.approx(report.work_seconds)
    assert sum((end - start) * busy for start, end, busy in report.schedule.parts(7)) == pytest.approx(running)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 20)), max_size=30))
def test_as_few_lanes_are_used_as_there_are_jobs_at_once(spans: list[tuple[int, int]]) -> None:
    times = [(float(start), float(start + length)) for start, length in spans]
    lanes = lanes_of(times)
    most = max((sum(start <= now < end for start, end in times) for now, _ in times), default=0)
    assert len(set(lanes)) == most
    for one in range(len(times)):
        for other in range(one):
            apart = times[one][1] <= times[other][0] or times[other][1] <= times[one][0]
            assert apart or lanes[one] != lanes[other]


def test_runners_are_in_the_order_of_their_numbers() -> None:
    names = ("node10/0", "node2/0", "2", "node2/10", "node2/9", "")
    assert named_lanes(names) == ("", "2", "node2/0", "node2/9", "node2/10", "node10/0")


# Generated pipelines


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "spacktainers.yaml").write_text(SITE)
    return tmp_path


def generated(site: Path, *more: str) -> Path:
    out = site / "out"
    arguments = ["-C", str(site), "process-spack-pipeline", "--architecture", "amd64", "--out-dir", str(out), *more]
    done = CliRunner().invoke(main, [*arguments, "--pipeline-dir", str(RECORDINGS / "spack-1.1")])
    assert done.exit_code == 0, done.output
    return out / "spack_pipeline.yaml"


@pytest.mark.parametrize("more", [(), ("--max-jobs", "10"), ("--fuse", "600")], ids=" ".join)
def test_the_packages_of_generated_jobs_are_found(site: Path, more: tuple[str, ...]) -> None:
    after = read_packages(RECORDINGS / "spack-1.1")
    tree = tree_of(read_tree(generated(site, *more), default_durations()), after)
    assert len(tree.packages) == 53
    report = plan_report(PlanFacts("x", after, None, default_durations(), 10, tree))
    assert {one.hash for one in report.packages} == tree.packages
    assert report.schedule is not None
    assert {key for bar in report.schedule.bars for key in bar.packages} == tree.packages
    assert report.cache is not None
    assert (report.cache.present, report.cache.lacking) == (7, 53)


def test_a_pipeline_of_other_lockfiles_is_refused(site: Path) -> None:
    played = read_tree(generated(site), default_durations())
    with pytest.raises(InvalidInputError, match="no lockfile has a package /"):
        tree_of(played, stack(DIAMOND))


def test_recordings_give_the_report_that_was_reviewed(site: Path) -> None:
    """`UPDATE_GOLDEN=1` writes it anew after a change."""
    arguments = ["-C", str(site), "report", "plan", str(RECORDINGS / "spack-1.1"), "--title", "Recordings"]
    arguments += ["--before", str(RECORDINGS / "spack-1.0"), "--pipeline", str(generated(site))]
    for form, name in (("json", "plan.json"), ("markdown", "plan.md")):
        done = CliRunner().invoke(main, [*arguments, "--format", form])
        assert done.exit_code == 0, done.output
        if os.environ.get("UPDATE_GOLDEN"):
            GOLDEN.mkdir(exist_ok=True)
            (GOLDEN / name).write_text(done.output)
        assert done.output == (GOLDEN / name).read_text(), f"{name}: see UPDATE_GOLDEN"


def test_the_command_writes_all_forms(site: Path) -> None:
    arguments = ["-C", str(site), "report", "plan", str(RECORDINGS / "spack-1.1"), "--out-dir", str(site / "report")]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    assert "The longest chain" in done.output
    assert {path.name for path in (site / "report").iterdir()} == {
        "packages.lock",
        *(name for name, _ in FILES.values()),
    }
    assert read_packages(site / "report" / "packages.lock") == read_packages(RECORDINGS / "spack-1.1")
    value = json.loads((site / "report" / "report.json").read_text())
    assert value["kind"] == "plan"
    assert value["counts"] == {"to build": 60}


def test_no_lockfile_is_told(site: Path) -> None:
    (site / "empty").mkdir()
    done = CliRunner().invoke(main, ["-C", str(site), "report", "plan", str(site / "empty")])
    assert done.exit_code == ExitCode.NOT_THERE


# Forms


def test_times_can_be_read_and_sorted() -> None:
    assert [clock(one) for one in (0, 3, 61, 3599.6, 36_000)] == ["0:00", "0:03", "1:01", "1:00:00", "10:00:00"]


def test_tables_of_notes_are_cut_and_say_so() -> None:
    text = markdown(planned({f"p{one}": [f"p{one - 1}"] if one else [] for one in range(40)}, {}))
    assert f"and {40 - ROWS} more" in text
    assert len(text) < 4_000


def test_a_trace_has_each_job_once_on_its_runner() -> None:
    report = planned(DIAMOND, SECONDS)
    assert report.schedule is not None
    value = trace_value(report)
    jobs = [one for one in value["traceEvents"] if one["ph"] == "X"]
    assert [(one["name"], one["tid"], one["ts"], one["dur"]) for one in jobs] == [
        (bar.name, bar.lane, bar.start * 1e6, (bar.finish - bar.start) * 1e6) for bar in report.schedule.bars
    ]
    assert {one["args"]["name"] for one in value["traceEvents"] if one["name"] == "thread_name"} == {
        "runner 1",
        "runner 2",
    }
    counts = [one["args"]["jobs"] for one in value["traceEvents"] if one["ph"] == "C"]
    assert counts[-1] == 0
    assert max(counts) == 2


def test_metrics_are_open_metrics() -> None:
    text = metrics_text(planned(DIAMOND, SECONDS, before={}))
    *lines, end = text.splitlines()
    assert end == "# EOF"
    assert all(re.fullmatch(r'[a-z_]+(\{([a-z]+="[^"\\]*",?)+\})? [0-9.]+', line) for line in lines)
    assert 'spacktainers_packages{kind="plan",state="to build"} 4' in lines


def test_a_large_page_stays_small() -> None:
    report = large_plan(2500)
    assert len(FILES["html"][1](report).encode()) <= 300_000
    assert len(report.packages) == 2500


def test_values_are_the_same_whatever_order_packages_come_in() -> None:
    turned = dict(reversed([*DIAMOND.items()]))
    assert asdict(planned(turned, SECONDS)) == asdict(planned(DIAMOND, SECONDS))
