"""`jc process-spack-pipeline`: from what the jobs of all containers left to the pipelines that fill the build cache."""

from __future__ import annotations

import gc
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from foundation.doors.files import read_file, write_files
from foundation.errors import Fault, InvalidInputError, naming
from foundation.validation import did_you_mean
from foundation.yaml_io import load
from job_creator import project_files
from job_creator.builds.durations import Durations, default_durations, read_durations
from job_creator.engines.gitlab import names
from job_creator.engines.gitlab.generated import Generated, read_generated
from job_creator.engines.gitlab.jobs.packages import PackagePlace
from job_creator.engines.gitlab.packing.pipelines import PackRequest, pack
from job_creator.engines.gitlab.packing.summary import Summary, summarize
from job_creator.engines.gitlab.packing.work import FusionRequest, package_work
from job_creator.engines.gitlab.running_pipelines import (
    RunningJob,
    RunningPipeline,
    SimulationError,
    expected_by,
    read_pipeline,
)
from job_creator.engines.gitlab.simulation import lay_out
from job_creator.environments.setting import Setting
from job_creator.images.knowledge import registry_of
from job_creator.site.gitlab import Fuse, GitLab
from job_creator.site.run import Context
from job_creator.site.site import Site

_SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class PackagesRequest:
    """What the command was asked for."""

    pipeline_dir: Path
    """What `spack ci generate` wrote, a folder for each container."""
    out_dir: Path
    architecture: str
    output_file: str
    max_jobs: int | None
    """Packages in one pipeline, if fewer than GitLab allows."""
    durations: Path | None
    """JSON with expected seconds by package."""
    keep_going: bool
    """Whether containers are left out whose pipeline cannot be used."""
    may_be_empty: bool = False
    """Whether no container at all gives a pipeline with nothing to do; else it is an error."""
    fuse: Fuse | None = None
    """Whether packages share jobs, if not as the site file says."""


def process(site: Site, environment: Mapping[str, str], arguments: PackagesRequest) -> Summary:
    """Read, merge, prepare, pack and write. Raises `InvalidInputError`, `LimitExceededError`, `FileAccessError`."""
    with without_garbage_collection():
        return _process(site, environment, arguments)


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Looking for cycles among millions of values that are all in use takes as long as the work itself."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _process(site: Site, environment: Mapping[str, str], arguments: PackagesRequest) -> Summary:
    found, failed = read_folder(
        arguments.pipeline_dir, keep_going=arguments.keep_going, may_be_empty=arguments.may_be_empty
    )
    durations = durations_of(arguments.durations, site.gitlab.job_start)
    place = preparation(site, environment, arguments.architecture)
    fuse = site.gitlab.fuse if arguments.fuse is None else arguments.fuse
    fusion = FusionRequest(fuse, durations, site.gitlab.job_start)
    work = package_work(found, place, place.demands(durations), fusion)
    folder = arguments.out_dir.name if arguments.out_dir.is_absolute() else arguments.out_dir.as_posix()
    request = PackRequest(folder, arguments.output_file, arguments.max_jobs)
    packed = pack(work, request)
    for file in packed.files:
        file.limits.require(file.name)
    contents = {file.name: file.content for file in packed.files}
    write_files(arguments.out_dir, contents, stale="packages_*.yaml")
    return summarize(packed, durations.service, failed)


def preparation(site: Site, environment: Mapping[str, str], name: str) -> PackagePlace:
    """For which run, site and architecture jobs are prepared. Raises `InvalidInputError` for an unknown one."""
    if name not in site.architectures:
        message = f"the site file knows no architecture {name!r}"
        raise InvalidInputError([Fault(project_files.SITE_FILE, 1, 1, message, did_you_mean(name, site.architectures))])
    context = Context.from_environment(environment)
    architecture = site.architectures[name]
    setting = Setting(
        architecture=architecture,
        line=site.spack.line,
        builder=environment.get("BUILDER_IMAGE", f"{registry_of(site, context)}/builder:latest"),
        is_default_branch=context.is_default_branch,
        is_merge_request=context.is_merge_request,
        signing_key_variable=site.signing.private_key_variable,
        public_key_variable=site.signing.public_key_variable,
        branch=context.pushing_branch,
        installer=site.spack.installer,
    )
    named = environment.get("BUILDER_IN_ENVIRONMENTS", "")
    return PackagePlace(name, architecture, site, setting, context.pipeline_id, builder_in_environments=named)


def read_folder(
    folder: Path, *, keep_going: bool, may_be_empty: bool = False
) -> tuple[list[Generated], dict[str, str]]:
    """The pipelines of all containers below a folder, and the containers that are left out, with the reason.

    A container without a pipeline is one whose generation failed: it is left out, and the others go on. With
    `keep_going` so is one whose pipeline cannot be used; without, that raises `InvalidInputError`. So does a folder
    without any pipeline, unless it `may_be_empty`.
    """
    with naming(folder):
        containers = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    found: list[Generated] = []
    failed: dict[str, str] = {}
    faults: list[Fault] = []
    for container in containers:
        pipelines = sorted(path for path in container.iterdir() if path.suffix in _SUFFIXES and path.is_file())
        if not pipelines:
            failed[container.name] = "no pipeline was generated; see the log of its job"
        for pipeline in pipelines:
            try:
                found.append(_read(container, pipeline))
            except InvalidInputError as error:
                failed[container.name] = str(error)
                faults += error.faults
    if faults and not keep_going:
        raise InvalidInputError(faults)
    if not found and not (may_be_empty and not failed):
        reasons = "".join(f"\n  {name}: {reason}" for name, reason in failed.items())
        raise InvalidInputError([Fault(str(folder), 1, 1, f"holds no pipeline of 'spack ci generate'{reasons}")])
    return found, failed


@dataclass(frozen=True, slots=True)
class PlayedTree:
    """A pipeline with its children, as read from files."""

    documents: Mapping[str, Any]
    """As they were written, by the path that triggers name; the root's is its file name."""
    pipelines: Mapping[str, RunningPipeline]
    """As the simulator plays them."""
    root: str


def read_tree(root: Path, durations: Durations, start: float = GitLab().job_start) -> PlayedTree:
    """Read a pipeline and its children, whose files lie beside it; jobs take what durations say.

    Raises `InvalidInputError`, and `SimulationError` for what is no pipeline or triggers what is not there.
    """
    documents: dict[str, Any] = {}
    pipelines: dict[str, RunningPipeline] = {}
    seconds = expected_by(durations, start)
    waiting = [(root.name, root)]
    for name, path in waiting:
        documents[name] = load(read_file(path), str(path))
        pipelines[name] = read_pipeline(name, documents[name], seconds)
        for job in pipelines[name].jobs:
            if job.child is not None and all(job.child != known for known, _ in waiting):
                waiting.append((job.child, _beside(root, path, job)))
    return PlayedTree(documents, pipelines, root.name)


def simulate(
    root: Path, runners: Collection[int], durations: Path | None, start: float = GitLab().job_start
) -> dict[int, float]:
    """Expected seconds of a pipeline and its children by number of runners; children's files lie beside the root.

    Raises `InvalidInputError`, and `SimulationError` for what is no pipeline or triggers what is not there.
    """
    tree = read_tree(root, durations_of(durations, start), start)
    simulation = lay_out(tree.pipelines, tree.root)
    return {count: simulation.run(count).makespan for count in runners}


def _beside(root: Path, pipeline: Path, job: RunningJob) -> Path:
    """The file of the child that a job triggers, beside the root. Raises `SimulationError`."""
    child = root.parent / PurePosixPath(str(job.child)).name
    if child.is_file():
        return child
    fact = (
        f"triggers {job.child!r}, which other jobs make while the pipeline runs, and which is not beside {root.name!r}"
    )
    advice = (
        f"give a file with all its children beside it, as 'jc process-spack-pipeline' makes {names.PACKAGE_PIPELINE}"
    )
    raise SimulationError(f"{pipeline}: {job.name}: {fact}; {advice}, or play the whole chain with 'jc rehearse'")


def _read(container: Path, pipeline: Path) -> Generated:
    beside = container / "concrete_environment"

    def optional(name: str) -> bytes | None:
        path = beside / name
        return read_file(path) if path.is_file() else None

    return read_generated(
        container.name,
        str(pipeline),
        read_file(pipeline),
        lock=optional("spack.lock"),
        environment=optional("spack.yaml"),
    )


def durations_of(path: Path | None, start: float) -> Durations:
    """Those of a file, or the default model. Raises `InvalidInputError`."""
    return read_durations(read_file(path), str(path), start) if path else default_durations()
