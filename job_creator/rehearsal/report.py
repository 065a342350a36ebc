"""What came of a rehearsal, for people and for machines."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from foundation.doors.files import read_file
from foundation.errors import SpacktainersError
from foundation.shown import shown_duration
from foundation.spack.lockfile import read_lockfile
from job_creator import project_files
from job_creator.builds import node_step
from job_creator.engines.gitlab import names
from job_creator.engines.gitlab.generated import read_generated
from job_creator.engines.gitlab.package_names import builds_several
from job_creator.rehearsal.outcomes import FAILED, SKIPPED, SUCCESS, RehearsedPipeline
from job_creator.rehearsal.played import Rehearsed
from job_creator.rehearsal.replay import VERSION
from job_creator.rehearsal.shell.gitlab_ci_local import log_of
from job_creator.rehearsal.shell.stages import Stage
from job_creator.rehearsal.shell.translation import IMAGE_TOOLS

if TYPE_CHECKING:
    from rich.console import Console

_PACKAGE: Final = re.compile(r" /([a-z2-7]{7,32})\b")
_LOG_LINES: Final = 30
_Package = tuple[str, str]
"""The architecture and the DAG hash of a package."""
_STYLES: Final = {SUCCESS: "green", FAILED: "bold red", SKIPPED: "dim"}


@dataclass(frozen=True)
class Failure:
    """A job that failed by itself, with the pipeline that it was in and the end of its log."""

    pipeline: str
    job: str
    log: str
    path: str


@dataclass(frozen=True)
class RehearsalOutcome:
    """What came of all pipelines.

    Packages are counted by architecture: `built` now, `failed`, `skipped` because something before them failed, and
    `reused` because the build cache has them; `shared_jobs` are jobs that ran for several of them. `containers` names
    those that were built; `left_out` says how many jobs were not run by reason.
    """

    pipelines: tuple[RehearsedPipeline, ...]
    failures: tuple[Failure, ...]
    built: dict[str, int]
    failed: dict[str, int]
    skipped: dict[str, int]
    reused: dict[str, int]
    shared_jobs: dict[str, int]
    containers: tuple[str, ...]
    left_out: dict[str, int]

    @property
    def succeeded(self) -> bool:
        """Whether no job failed."""
        return not self.failures and all(one.status == SUCCESS for one in self.pipelines)

    def as_value(self) -> dict[str, Any]:
        """For machines."""
        return {**asdict(self), "succeeded": self.succeeded}


def outcome(stage: Stage, pipelines: Sequence[RehearsedPipeline]) -> RehearsalOutcome:
    """What came of some pipelines, from their records, logs and artifacts."""
    ran = list(_ran(pipelines))
    wanted, reused = _asked_for(stage, pipelines)
    states = {**_of_jobs(ran, wanted), **_recorded(stage, pipelines)}
    for architecture, hash_ in [package for package, state in states.items() if state == "reused"]:
        reused.setdefault(architecture, set()).add(hash_)
    left = Counter(reason for one in pipelines for reason in one.left_out.values())
    return RehearsalOutcome(
        pipelines=tuple(pipelines),
        failures=tuple(_failures(stage, pipelines)),
        built=_by_architecture(package for package, state in states.items() if state == "built"),
        failed=_by_architecture(package for package, state in states.items() if state == "failed"),
        skipped=_by_architecture(one for one in wanted if states.get(one, "skipped") == "skipped"),
        reused={architecture: len(hashes) for architecture, hashes in sorted(reused.items())},
        shared_jobs=_by_architecture(_shared_jobs(ran)),
        containers=_containers(ran),
        left_out=dict(sorted(left.items())),
    )


def _containers(ran: Iterable[tuple[str, str, str]]) -> tuple[str, ...]:
    """The containers that were built."""
    jobs = (job for bridge, job, status in ran if bridge.startswith(names.containers_bridge("")) and status == SUCCESS)
    found = (job.removeprefix("build ").split(" container for ") for job in jobs if " container for " in job)
    return tuple(sorted(" for ".join(parts) for parts in found))


def _shared_jobs(ran: Iterable[tuple[str, str, str]]) -> Iterator[tuple[str, str]]:
    """The jobs that ran for several packages, with their architectures."""
    bridge_ = names.populate_bridge("")
    for bridge, job, status in ran:
        if bridge.startswith(bridge_) and status != SKIPPED and builds_several(job):
            yield bridge.removeprefix(bridge_), job


def _recorded(stage: Stage, pipelines: Sequence[RehearsedPipeline]) -> dict[_Package, str]:
    """What package jobs wrote down of their packages."""
    found: dict[_Package, str] = {}
    for one in pipelines:
        artifacts = stage.states / str(one.id) / "artifacts"
        for path in sorted(artifacts.glob(f"*/jobs_scratch_dir.*/*/{node_step.OUTCOMES}/{node_step.RECORDS}")):
            architecture = path.parents[2].name.removeprefix(project_files.environments_folder(""))
            records = node_step.read_records(read_file(path), str(path))
            found |= {(architecture, record.hash): record.state for record in records}
    return found


def _of_jobs(ran: Iterable[tuple[str, str, str]], wanted: Iterable[_Package]) -> dict[_Package, str]:
    """What became of packages whose jobs only tell by how they ended."""
    bridge_ = names.populate_bridge("")
    tried = {
        (bridge.removeprefix(bridge_), match[1]): "built" if status == SUCCESS else "failed"
        for bridge, job, status in ran
        if bridge.startswith(bridge_) and status != SKIPPED and (match := _PACKAGE.search(job))
    }
    lengths = {len(beginning) for _, beginning in tried}
    return {
        (architecture, hash_): tried[architecture, hash_[:length]]
        for architecture, hash_ in wanted
        for length in lengths
        if (architecture, hash_[:length]) in tried
    }


def _by_architecture(packages: Iterable[_Package]) -> dict[str, int]:
    return dict(sorted(Counter(architecture for architecture, _ in packages).items()))


def _ran(pipelines: Sequence[RehearsedPipeline]) -> Iterator[tuple[str, str, str]]:
    """All jobs with the trigger job of the parent pipeline that they are below, and what came of them."""
    by_id = {one.id: one for one in pipelines}
    for one in pipelines:
        root = _root_bridge(one, by_id)
        yield from ((root, job, status) for job, status in one.jobs.items())


def _root_bridge(pipeline: RehearsedPipeline, by_id: dict[int, RehearsedPipeline]) -> str:
    """The trigger job of the parent pipeline that everything above this one began with."""
    while pipeline.parent is not None and by_id[pipeline.parent].parent is not None:
        pipeline = by_id[pipeline.parent]
    return pipeline.name


def _failures(stage: Stage, pipelines: Sequence[RehearsedPipeline]) -> Iterator[Failure]:
    failed = {one.name for one in pipelines if one.status == FAILED}
    for one in pipelines:
        for job, status in one.jobs.items():
            if status != FAILED or (job in one.bridges and job in failed):
                continue
            path = log_of(stage.states / str(one.id), job)
            text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
            yield Failure(one.name, job, "\n".join(text.splitlines()[-_LOG_LINES:]), str(path))


def _asked_for(stage: Stage, pipelines: Sequence[RehearsedPipeline]) -> tuple[set[_Package], dict[str, set[str]]]:
    """The packages of all environments: those that Spack wanted to be built, and by architecture all others."""
    needed: dict[str, set[str]] = {}
    wanted: set[_Package] = set()
    for one in pipelines:
        artifacts = stage.states / str(one.id) / "artifacts"
        for path in sorted(artifacts.glob("*/jobs_scratch_dir.*/*/concrete_environment/spack.lock")):
            architecture = path.parents[2].name.removeprefix(project_files.environments_folder(""))
            specs = read_lockfile(path.read_bytes(), str(path)).specs
            own = {hash_ for hash_, spec in specs.items() if not spec.is_external}
            needed.setdefault(architecture, set()).update(own)
            wanted |= {(architecture, hash_) for hash_ in own & _to_build(path.parents[1] / "pipeline.yml", own)}
    return wanted, {
        architecture: {hash_ for hash_ in hashes if (architecture, hash_) not in wanted}
        for architecture, hashes in needed.items()
    }


def _to_build(pipeline: Path, own: set[str]) -> set[str]:
    """What Spack wrote jobs for; all that is there, if it did not get so far."""
    try:
        return set(read_generated("", str(pipeline), read_file(pipeline)).jobs)
    except SpacktainersError:
        return own


def print_outcome(result: RehearsalOutcome, stage: Stage, console: Console) -> None:
    """All pipelines with what came of their jobs, the logs of those that failed, and where everything lies."""
    from rich.text import Text

    for one in result.pipelines:
        counts = Counter(one.jobs.values())
        said = ", ".join(f"{counts[status]} {status}" for status in (SUCCESS, FAILED, SKIPPED) if counts[status])
        text = Text(f"{one.status:<8}", style=_STYLES.get(one.status, ""))
        console.print(text, Text(f"{one.name} ({said})"), soft_wrap=True)
    for failure in result.failures:
        console.print(Text(f"\n{failure.pipeline}: {failure.job}: failed; its log ends with", style="bold red"))
        console.print(failure.log, markup=False, highlight=False, soft_wrap=True)
    for line in _lines(result, stage.folder, is_without_images=set(stage.missing) >= set(IMAGE_TOOLS)):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _lines(result: RehearsalOutcome, folder: Path, *, is_without_images: bool) -> Iterator[str]:
    yield ""
    for architecture in sorted(result.built.keys() | result.failed.keys() | result.reused.keys()):
        counts = {
            "built": result.built.get(architecture, 0),
            "failed": result.failed.get(architecture, 0),
            "skipped": result.skipped.get(architecture, 0),
            "reused": result.reused.get(architecture, 0),
        }
        said = [f"{count} {what}" for what, count in counts.items() if count or what in ("built", "reused")]
        shared = result.shared_jobs.get(architecture, 0)
        jobs = f"; {shared} {'job' if shared == 1 else 'jobs'} built several of them" if shared else ""
        yield f"packages for {architecture}: {', '.join(said)}{jobs}"
    yield f"containers built: {', '.join(result.containers) or 'none'}"
    if result.left_out:
        direct = sorted(reason for reason in result.left_out if not reason.startswith("needs '"))
        reasons = "--images runs them" if is_without_images else "; ".join(direct)
        count = sum(result.left_out.values())
        jobs = "1 job that builds or moves" if count == 1 else f"{count} jobs that build or move"
        yield f"left out: {jobs} images ({reasons})"
    yield f"pipelines, logs and artifacts: {folder}/checkout/.rehearsal"


def print_rehearsed(result: Rehearsed, console: Console) -> None:
    """When what happens, and how long everything takes; before all figures, that they are too low, if they are."""
    if result.is_lower_bound:
        named = ", ".join(result.unknown)
        text = f"lower bound: not on record, so taken for packages without dependencies: {named}"
        console.print(text, markup=False, highlight=False, soft_wrap=True)
    rows = [("FROM", "TO", "JOBS", "WHAT")]
    for phase in sorted(result.phases, key=lambda phase: (phase.start, phase.name)):
        jobs = str(phase.jobs) if phase.jobs else ""
        rows.append((shown_duration(phase.start), shown_duration(phase.finish), jobs, phase.name))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row[:3], widths, strict=True)]
        console.print("  ".join((*cells, row[3])), markup=False, highlight=False, soft_wrap=True)
    least = "at least " if result.is_lower_bound else ""
    packages = ", ".join(_to_compile(result, architecture, least) for architecture in result.packages)
    console.print(f"packages to compile with an empty build cache: {packages}", highlight=False, soft_wrap=True)
    console.print(
        f"with {result.runners} runners: {least}{shown_duration(result.seconds)}", highlight=False, soft_wrap=True
    )
    source = f"lockfiles as Spack {VERSION} once wrote them, not made now; times are expected, not measured"
    console.print(source, highlight=False, soft_wrap=True)


def _to_compile(result: Rehearsed, architecture: str, least: str) -> str:
    packages, jobs = result.packages[architecture], result.package_jobs[architecture]
    shared = f", which share {jobs} {'job' if jobs == 1 else 'jobs'}" if jobs < packages else ""
    return f"{least}{packages} for {architecture}{shared}"


def as_json(value: dict[str, Any]) -> str:
    """For machines."""
    return json.dumps(value, indent=2)
