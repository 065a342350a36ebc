"""Reports of made-up stacks, for tests of their forms."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from job_creator.builds.durations import Durations
from job_creator.reports.changes import Packages
from job_creator.reports.locked import packages_of
from job_creator.reports.planned import PlanFacts, plan_report
from job_creator.reports.ran import RunFacts, run_report
from job_creator.reports.report import ReportedLimit, StackReport
from job_creator.runs.records import StepRecord
from tests.build_runs import dag_hash, lock_of

HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">&|`*_"
"""What a package, a log or a worker may say."""
DIAMOND: Mapping[str, Sequence[str]] = {"zlib": (), "hdf5": ("zlib",), "python": ("zlib",), "app": ("hdf5", "python")}


def stack(needs: Mapping[str, Sequence[str]]) -> Packages:
    """The packages of a lockfile."""
    return packages_of(lock_of(needs), "spack.lock")


def planned(
    needs: Mapping[str, Sequence[str]],
    seconds: Mapping[str, float],
    runners: int = 2,
    before: Mapping[str, Sequence[str]] | None = None,
) -> StackReport:
    """The plan of a stack for which no pipeline was generated."""
    limits = (ReportedLimit("root.yaml", "jobs", 4, 500),)
    old = None if before is None else stack(before)
    return plan_report(PlanFacts("A plan", stack(needs), old, Durations(seconds, 60.0), runners, None, limits))


def record(name: str, state: str, started: float = 0.0, seconds: float = 0.0, **more: str) -> StepRecord:
    """What became of a package of a stack."""
    because = {"failed": "it does not build: exit code 1", "skipped": "something was not built"}.get(state, "")
    return StepRecord(
        dag_hash(name),
        name,
        "1.0",
        "neuron",
        state,
        because,
        seconds,
        started=started,
        worker=more.get("worker", ""),
        failure=more.get("failure", ""),
        log=more.get("log", ""),
    )


def ran(needs: Mapping[str, Sequence[str]], *records: StepRecord, title: str = "A run", error: str = "") -> StackReport:
    """The report of a run of a stack; `error` is the first of all that failed."""
    packages = stack(needs)
    failed = {one.hash: error for one in records if one.state == "failed" and error}
    edges = {key: package.below for key, package in packages.items()}
    names = {key: package.name for key, package in packages.items()}
    by_hash = {one.hash: one for one in records}
    return run_report(RunFacts(title, by_hash, Durations({}, 60.0), edges, names, 3, failed))


def failed_run() -> StackReport:
    """A run in which one package failed, and said hostile things."""
    return ran(
        DIAMOND,
        record("zlib", "built", 1_000, 30, worker="node1/0"),
        record("hdf5", "failed", 1_030, 50, worker=HOSTILE, failure="own", log="steps/hdf5/1/log.txt"),
        record("python", "built", 1_030.5, 90, worker="node1/0"),
        record("app", "skipped"),
        title=f"Run {HOSTILE}",
        error=f"hdf5.c:1:1: error: {HOSTILE}",
    )


def large_plan(packages: int) -> StackReport:
    """The plan of a large stack that grows from below, all of it new or following what is."""
    chance = random.Random(1)
    names = [f"package-number-{index:05}" for index in range(packages)]
    needs = {name: tuple({names[chance.randrange(at)] for _ in range(min(at, 3))}) for at, name in enumerate(names)}
    seconds = {name: 60 * chance.paretovariate(1.1) for name in names}
    return planned(needs, seconds, 40, {})
