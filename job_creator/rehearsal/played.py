"""The whole chain in virtual time, from the files that its jobs would write."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from foundation.doors.files import read_file, write_files
from foundation.yaml_io import dump, load
from job_creator import project_files
from job_creator.builds.durations import Durations
from job_creator.definitions.choice import Choice
from job_creator.definitions.definitions import SpackDefinition
from job_creator.engines.gitlab import names
from job_creator.engines.gitlab.base_pipeline import BasePlan
from job_creator.engines.gitlab.limits import check
from job_creator.engines.gitlab.objects import expand
from job_creator.engines.gitlab.packing.summary import Summary
from job_creator.engines.gitlab.running_pipelines import expected_by
from job_creator.engines.gitlab.simulation import Timeline, prepare
from job_creator.environments.from_spack import FILE
from job_creator.inputs import Written
from job_creator.pipelines import containers
from job_creator.pipelines import packages as package_pipelines
from job_creator.pipelines.base import make_plan, parent_document
from job_creator.rehearsal import replay

PIPELINE_ID: Final = "1001"
_CI: Final = {
    "CI_COMMIT_REF_NAME": "main",
    "CI_DEFAULT_BRANCH": "main",
    "CI_COMMIT_SHA": "0" * 40,
    "CI_PIPELINE_ID": PIPELINE_ID,
}
"""What GitLab says in a run of the default branch."""


@dataclass(frozen=True, slots=True)
class Phase:
    """A job of the parent pipeline, or the child that it triggers: when, in seconds, and how many jobs below it."""

    name: str
    start: float
    finish: float
    jobs: int


@dataclass(frozen=True)
class Rehearsed:
    """How the chain goes with so many runners, if no job fails.

    `packages` counts those that are compiled by architecture, `package_jobs` the jobs that they share; `unknown` are
    specs that no recording has, which are taken for packages without dependencies.
    """

    runners: int
    seconds: float
    phases: tuple[Phase, ...]
    packages: Mapping[str, int]
    package_jobs: Mapping[str, int]
    unknown: tuple[str, ...]

    @property
    def is_lower_bound(self) -> bool:
        """Whether more has to be compiled, and everything takes longer, than the figures say."""
        return bool(self.unknown)

    def as_value(self) -> dict[str, Any]:
        """For machines; whether the figures can be relied upon comes first."""
        return {"is_lower_bound": self.is_lower_bound, **asdict(self)}


def play(root: Path, written: Written, choice: Choice, durations: Durations, runners: int) -> Rehearsed:
    """Write what the jobs would write, with a recording for Spack, hold it against GitLab's limits, and play it.

    Nothing counts as published, and the build cache as empty. Raises `LimitExceededError`, `SimulationError`.
    """
    with TemporaryDirectory() as folder:
        built = make_plan(root, written, _CI, offline=True, choice=choice)
        place = _Place(root, Path(folder), written, choice)
        unknown = tuple(dict.fromkeys(spec for spec in _concretize(place, built)))
        documents, summaries = _documents(place, built)
        expected = expected_by(durations, written.site.gitlab.job_start)
        timeline = prepare(documents, names.PARENT_PIPELINE, expected).run(runners)
    phases = tuple(_phases(timeline, documents))
    packages = {architecture: one.to_build for architecture, one in summaries.items()}
    jobs = {architecture: one.package_jobs for architecture, one in summaries.items()}
    return Rehearsed(runners, timeline.makespan, phases, packages, jobs, unknown)


@dataclass(frozen=True)
class _Place:
    root: Path
    folder: Path
    written: Written
    choice: Choice

    @property
    def architectures(self) -> dict[str, bool]:
        """The architectures, and whether they have packages."""
        found: dict[str, bool] = {}
        for one in self.written.definitions:
            found[one.architecture] = found.get(one.architecture, False) or isinstance(one, SpackDefinition)
        return dict(sorted(found.items()))


def _concretize(place: _Place, built: BasePlan) -> Iterator[str]:
    """Do what the jobs of the environments do; gives the specs that are not on record."""
    for definition in place.choice.of(place.written.definitions):
        if not isinstance(definition, SpackDefinition):
            continue
        architecture = definition.architecture
        manifest: Any = built.environments[project_files.merged_environment(definition.name, architecture)]
        replayed = replay.concretized(replay.specs(manifest["spack"]))
        root = f"{project_files.environments_folder(architecture)}/{definition.name}"
        origin = {"job": names.environment_job(definition.name, architecture), "pipeline": PIPELINE_ID}
        pipeline = replay.pipeline(replayed.lock, (), replay.build_job(manifest["spack"]), origin, root)
        files = {
            "pipeline.yml": dump(pipeline),
            "concrete_environment/spack.yaml": dump(manifest),
            "concrete_environment/spack.lock": json.dumps(replayed.lock),
            f"concrete_environment/{FILE}": replay.from_spack(replayed.lock).decode(),
        }
        write_files(place.folder / root, {name: text.encode() for name, text in files.items()})
        yield from replayed.unknown


def _documents(place: _Place, built: BasePlan) -> tuple[dict[str, Any], dict[str, Summary]]:
    """All pipelines by the paths that triggers name, and what came of the packages of each architecture."""
    site = place.written.site
    parent = load(parent_document(place.written).encode(), names.PARENT_PIPELINE)
    for job in (names.UNIT_TESTS, names.PACKAGE_NAMES):
        parent.pop(job, None)
    base = built.pipeline.document()
    check(base, site.gitlab.limits, depth=1).require(names.GENERATED_PIPELINE)
    documents: dict[str, Any] = {names.PARENT_PIPELINE: parent, names.GENERATED_PIPELINE: base}
    summaries: dict[str, Summary] = {}
    for architecture, has_packages in place.architectures.items():
        environments = place.folder / project_files.environments_folder(architecture)
        environments.mkdir(exist_ok=True)
        if has_packages:
            out = place.folder / names.package_artifacts(architecture)
            asked = package_pipelines.PackagesRequest(
                environments, out, architecture, names.PACKAGE_PIPELINE, None, None, keep_going=False, may_be_empty=True
            )
            summaries[architecture] = package_pipelines.process(site, _CI, asked)
        out = place.folder / names.container_artifacts(architecture)
        wanted = containers.ContainersRequest(
            architecture, out, environments, names.CONTAINER_PIPELINE, offline=True, only=tuple(place.choice.only)
        )
        containers.generate(place.root, place.written, _CI, wanted)
    for path in sorted(place.folder.glob("*.artifacts.*/*.yaml")):
        name = path.relative_to(place.folder).as_posix()
        documents[name] = load(read_file(path), name)
    return documents, summaries


def _phases(timeline: Timeline, documents: Mapping[str, Any]) -> Iterator[Phase]:
    below = _jobs_below(timeline, documents)
    for played in timeline.jobs:
        if played.pipeline == names.PARENT_PIPELINE:
            yield Phase(played.job, played.start, played.finish, below.get(played.job, 0))


def _jobs_below(timeline: Timeline, documents: Mapping[str, Any]) -> dict[str, int]:
    """How many jobs the children of each trigger job of the parent have, grandchildren included."""
    counts: dict[str, int] = {}
    for played in timeline.jobs:
        counts[played.pipeline] = counts.get(played.pipeline, 0) + 1

    def total(path: str) -> int:
        inner = [child for _, child in _triggers(documents[path])]
        return counts.get(path, 0) - len(inner) + sum(map(total, inner))

    return {name: total(child) for name, child in _triggers(documents[names.PARENT_PIPELINE])}


def _triggers(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, job in expand(document).items():
        if "trigger" in job:
            yield name, str(job["trigger"]["include"][0]["artifact"])
