"""What `jc build` does: look, plan, prepare, drive, and write the index at the end."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from foundation.doors.files import write_files
from foundation.doors.processes import ProcessError
from foundation.errors import CouldNotAskError, NotReadyError, RefusedError, naming
from foundation.graph import BuildGraph, union
from foundation.registries.repository import OciRepository
from foundation.spack import layout_v2, layout_v3
from foundation.spack.program import SpackProgram
from foundation.spack.releases import SpackLine
from foundation.spack.source_needs import SourceNeeds
from foundation.stores.schemes import BUCKET, FOLDER, REGISTRY, kind_of, path_of
from job_creator.builds.durations import Durations
from job_creator.builds.steps import Demand
from job_creator.corpus.reading import collected, write_manifest
from job_creator.engines.engine import StepEngine
from job_creator.environments.mirror_names import DESTINATION
from job_creator.mirrors.needs.binaries import LISTED, SPEC_MANIFESTS
from job_creator.mirrors.needs.present_binaries import present_binaries
from job_creator.mirrors.places import MirrorPlace, open_place
from job_creator.runs.driver import Driver, Tell
from job_creator.runs.environments import RunEnvironment
from job_creator.runs.folder import RunFolder
from job_creator.runs.machines.container import PYTHON, require_container, step_container
from job_creator.runs.order import BuildOrder, StepWorks, files_of, mirrors_file, run_value, variables_of
from job_creator.runs.plan import RunPlan, Selection, graph_of, make_plan

_INDEX_SECONDS: Final = 3600.0
_WARM: Final = (
    "from spack.repo import PATH; PATH.provider_index; PATH.tag_index; PATH.patch_index; PATH.all_package_names()"
)
"""Asks Spack for all that it keeps of the recipes in its user cache: a minute or two once, and a second later."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PlannedRun:
    """What would be built, and what it was planned from."""

    environments: Mapping[str, RunEnvironment]
    graph: BuildGraph
    plan: RunPlan


def plan_run(
    environments: Mapping[str, RunEnvironment],
    mirror: str,
    endpoint: str | None,
    variables: Mapping[str, str],
    selection: Selection,
    durations: Durations,
    collect: Collection[str] = (),
) -> PlannedRun:
    """Plan what the build cache lacks, and what `collect` kinds were not collected of.

    Raises `RefusedError` for a build cache that cannot be written to, or has no room for files; `DamagedError`,
    `CouldNotAskError`.
    """
    kind = kind_of(mirror)
    if collect and kind is REGISTRY:
        raise RefusedError(f"{mirror}: a registry has no room for what is collected; name a folder or a bucket")
    if kind is None or not kind.can_be_filled:
        raise RefusedError(f"{mirror}: can only be read; name the folder, bucket or registry that it shows")
    graphs = {name: graph_of(one.lockfile) for name, one in environments.items()}
    graph = union(graphs.values())
    place = open_place(mirror, endpoint, variables)
    own = {key for key, package in graph.packages.items() if not package.is_external}
    present = frozenset(present_binaries(place, own, SourceNeeds())) if place else frozenset[str]()
    if collect and place and not isinstance(place, OciRepository):
        present &= collected(place, collect)

    def demand(package: str) -> Demand:
        return Demand(durations.of_package(package))

    return PlannedRun(environments, graph, make_plan(graphs, present, selection, demand))


def program_path(program: str) -> str:
    """The path of a program. Raises `NotReadyError` if it is not there."""
    found = shutil.which(program)
    if found is None:
        raise NotReadyError(f"{program}: is not installed; source Spack's setup-env.sh, or name it with --spack")
    return str(Path(found).absolute())


def line_of(spack: SpackProgram) -> SpackLine:
    """The release line of a Spack. Raises `CouldNotAskError`, and `RefusedError` for one that is not supported."""
    try:
        return spack.line()
    except ProcessError as error:
        raise CouldNotAskError(f"{spack.program}: does not say its version: {error}") from None
    except ValueError as error:
        raise RefusedError(f"{spack.program}: {error}") from None


def endpoint_of(mirror: str, endpoint: str | None, environment: Mapping[str, str]) -> str:
    """The S3 server of a build cache, as Spack has to be told of it; empty if there is nothing to tell."""
    if kind_of(mirror) is not BUCKET:
        return ""
    from foundation.stores.s3_client import endpoint_of

    return endpoint or endpoint_of(environment) or ""


def prepare(
    folder: RunFolder,
    run: str,
    order: BuildOrder,
    planned: PlannedRun,
    environment: Mapping[str, str],
    warm: Path | None,
) -> StepWorks:
    """Write the folder of a run. Raises `RefusedError` where there is one already, and `FileAccessError`."""
    used = {step.environment for step in planned.plan.steps.values()}
    environments = {name: one for name, one in planned.environments.items() if name in used}
    variables = variables_of(environment)
    if kind_of(order.mirror) is FOLDER:
        with naming(order.mirror):
            Path(path_of(order.mirror)).mkdir(parents=True, exist_ok=True)
    folder.create(run_value(run, order, planned.plan), files_of(run, order, environments, variables))
    if warm:
        with naming(folder.path / "warm"):
            (folder.path / "warm").symlink_to(warm.absolute())
    passed = {**variables, "PATH": environment.get("PATH", os.defpath)}
    python: tuple[str, ...] = (sys.executable,)
    if order.image:
        container = step_container(order.image, order.seen(folder.path, variables))
        require_container(container)
        python = (*container.argv, PYTHON)
    # Jobs of a scheduler come and go on machines that nobody tidies up.
    return StepWorks(folder, order, planned.graph, python, passed, is_fresh=order.engine != "local", around=environment)


def warm_cache(spack: SpackProgram, home: Path) -> Path:
    """A user cache of Spack with all that it keeps of its recipes, made when it is first wanted, below `home`.

    Raises `CouldNotAskError`.
    """
    key = hashlib.sha256("\0".join((spack.program, *map(str, spack.scopes))).encode()).hexdigest()[:16]
    folder = home / "warm" / key
    own = SpackProgram(spack.program, {**spack.variables, "SPACK_USER_CACHE_PATH": str(folder)}, spack.scopes)
    logger.info("warming up Spack's cache of its recipes in %s", folder)
    try:
        own.run("python", "-c", _WARM, seconds=_INDEX_SECONDS)
    except ProcessError as error:
        raise CouldNotAskError(f"Spack could not read its recipes: {error}") from None
    return folder


def drive(folder: RunFolder, planned: PlannedRun, engine: StepEngine, works: StepWorks, tell: Tell) -> None:
    """Build what is planned. An interruption ends what this machine runs, and goes on upwards."""
    with folder.driven():
        driver = Driver(planned.plan, engine, folder, works, tell)
        try:
            driver.run()
        finally:
            engine.close()


@contextmanager
def scratch_removed(run: str, order: BuildOrder, environment: Mapping[str, str]) -> Iterator[None]:
    """Removes the working folders that the steps of a run had on this machine; see `run_step.py`."""
    try:
        yield
    finally:
        parent = Path(order.scratch or environment.get("TMPDIR") or "/tmp")  # noqa: S108 - the same as on workers
        shutil.rmtree(parent / f"jc-{os.getuid()}-{run}", ignore_errors=True)


def update_index(spack: SpackProgram, order: BuildOrder) -> None:
    """Let Spack write the indexes of packages and keys. Raises `CouldNotAskError`."""
    with tempfile.TemporaryDirectory(prefix="jc-build-") as folder:
        write_files(Path(folder), {"mirrors.yaml": mirrors_file(order)})
        _update_index(spack.with_scope(Path(folder)))


def list_collected(place: MirrorPlace | None) -> None:
    """Write the list of what was collected beside a build cache. Raises what `write_manifest` raises."""
    if place is not None and not isinstance(place, OciRepository):
        write_manifest(place)


def _update_index(inside: SpackProgram) -> None:
    try:
        inside.run("buildcache", "update-index", "--keys", DESTINATION, seconds=_INDEX_SECONDS)
    except ProcessError as error:
        raise CouldNotAskError(f"all is built, but Spack could not write the index: {error}") from None


def is_index_behind(place: MirrorPlace | None) -> bool:
    """Whether a build cache has packages that are newer than its index, as a run that was killed leaves it.

    Registries are not asked.
    """
    if place is None or isinstance(place, OciRepository):
        return False
    times: dict[bool, float] = {True: 0.0, False: 0.0}
    for prefix in (*LISTED, layout_v3.INDEXES):
        for one in place.list(prefix):
            is_index = one.key in (layout_v2.INDEX, layout_v3.INDEX)
            if is_index or one.key.startswith((SPEC_MANIFESTS, layout_v2.FOLDER)):
                times[is_index] = max(times[is_index], one.modified)
    return times[False] > times[True]
