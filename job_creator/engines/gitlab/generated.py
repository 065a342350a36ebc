"""What `spack ci generate` wrote for one container, whatever Spack wrote it: steps, and how they become jobs.

Source: lib/spack/spack/ci.py (v0.21.3 to v0.23.1) and lib/spack/spack/ci/gitlab.py (v1.0 and newer). Jobs are told by
their variable `SPACK_JOB_SPEC_DAG_HASH`; names and stages differ between releases and are not parsed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from foundation.errors import Fault, InvalidInputError
from foundation.graph import BuildGraph, Package
from foundation.spack.groups import GroupError, in_order, needs_in
from foundation.spack.lockfile import Lockfile, read_lockfile
from foundation.spack.releases import SpackLine
from foundation.yaml_io import load
from job_creator.builds.own_words import foreign_words
from job_creator.builds.phases import Phases
from job_creator.builds.steps import EnvironmentBuilds, Step
from job_creator.engines.gitlab.names import HASH_VARIABLE, NAME_VARIABLE, VERSION_VARIABLE
from job_creator.environments.mirror_names import DESTINATION

NOTHING_TO_DO: Final = frozenset({"no-specs-to-rebuild", "unsupported-copy"})
INDEX_JOBS: Final = frozenset({"rebuild-index", "wait-for-build-jobs"})
"""Replaced by one index job of our own for each mirror."""

SPACK_RETRIES: Final = (
    "unknown_failure",
    "script_failure",
    "api_failure",
    "stuck_or_timeout_failure",
    "runner_system_failure",
    "runner_unsupported",
    "stale_schedule",
    "archived_failure",
    "unmet_prerequisites",
    "scheduler_failure",
    "data_integrity_failure",
)
"""After which failures Spack 0.22 and newer lets GitLab repeat the job of a package."""

_NO_JOBS: Final = frozenset({"stages", "variables", "workflow", "default", "include"})


@dataclass(frozen=True, slots=True)
class GeneratedJob:
    """What Spack wrote for GitLab about the job of one package, besides what makes it a step."""

    keywords: Mapping[str, Any]
    """Everything, its needs and scripts included; may be shared with other jobs and is never changed."""


@dataclass(frozen=True, slots=True)
class Generated:
    """The pipeline of one container."""

    builds: EnvironmentBuilds
    variables: Mapping[str, str] = field(default_factory=dict)
    jobs: Mapping[str, GeneratedJob] = field(default_factory=dict)
    """By the DAG hash of the package that they build."""
    services: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Jobs that build nothing (index, signing, copying), by name."""
    mirror: str | None = None
    """URL that its packages are pushed to, where it is said."""

    @property
    def container(self) -> str:
        """Its name."""
        return self.builds.environment


def read_generated(
    container: str, path: str, content: bytes, *, lock: bytes | None = None, environment: bytes | None = None
) -> Generated:
    """Read a pipeline with the lockfile and the `spack.yaml` that lie beside it.

    Raises `InvalidInputError` naming the file when it is no pipeline of Spack, is cut off, or from an unknown Spack.
    """
    document = load(content, path)
    if not isinstance(document, Mapping) or not all(isinstance(key, str) for key in document):
        raise _fault(path, "not a pipeline of 'spack ci generate'")
    entries = {name: value for name, value in document.items() if name not in _NO_JOBS and isinstance(value, Mapping)}
    builds = {name: value for name, value in entries.items() if _hash(value)}
    services = {name: value for name, value in entries.items() if name not in builds}
    if not builds and not services:
        raise _fault(path, "not a pipeline of 'spack ci generate'", "it holds no job")
    locked = read_lockfile(lock, f"{_beside(path)}/spack.lock") if lock is not None else None
    graph = _graph(locked) if locked else None
    if not builds and set(services) <= NOTHING_TO_DO:
        return Generated(EnvironmentBuilds(container, path, None, graph=graph))
    missing = {"stages", "variables", "workflow"} - set(document)
    if missing:
        raise _fault(
            path, f"not a pipeline of 'spack ci generate': no {' and '.join(sorted(missing))}", "is it cut off?"
        )
    variables = {name: str(value) for name, value in document["variables"].items()}
    _require_whole(builds, path)
    needs: dict[str, frozenset[str]] = {}
    for job in builds.values():
        needs[_hash(job)] = needs.get(_hash(job), frozenset()) | {_hash(builds[name]) for name in _local_needs(job)}
    steps = tuple(_step(name, job, container) for name, job in builds.items())
    manifest = load(environment, f"{_beside(path)}/spack.yaml") if environment else None
    # What these run, Spack writes by itself; it is replaced.
    replaced = {
        name: _without_script(job) if name in INDEX_JOBS | NOTHING_TO_DO else job for name, job in services.items()
    }
    if foreign := list(foreign_words(container, variables, {**builds, **replaced}, manifest)):
        raise InvalidInputError([Fault(path, 1, 1, words, "did a recipe change the pipeline?") for words in foreign])
    phases = _phases(locked, manifest, path) if locked else Phases()
    return Generated(
        builds=EnvironmentBuilds(container, path, _line(variables, path), steps, needs, graph, phases),
        variables=variables,
        jobs={_hash(job): GeneratedJob(job) for job in builds.values()},
        services={name: value for name, value in services.items() if name not in NOTHING_TO_DO},
        mirror=_mirror(manifest, services),
    )


def _require_whole(builds: Mapping[str, Mapping[str, Any]], path: str) -> None:
    for name, job in builds.items():
        # Spack writes the keys of a job in this order's end; a file that was cut off lacks them in its last job.
        if not {"script", "stage", "interruptible"} <= set(job):
            raise _fault(path, f"the job {name!r} is incomplete", "is the file cut off?")
        unknown = sorted(_local_needs(job) - set(builds))
        if unknown:
            raise _fault(path, f"{name!r} needs {unknown[0]!r}, which is not there", "is the file cut off?")


def _without_script(job: Mapping[str, Any]) -> dict[str, Any]:
    return {keyword: value for keyword, value in job.items() if keyword != "script"}


def _step(name: str, job: Mapping[str, Any], container: str) -> Step:
    variables = job["variables"]
    return Step(
        hash=_hash(job),
        package=str(variables.get(NAME_VARIABLE, name.partition("@")[0])),
        version=str(variables.get(VERSION_VARIABLE, "")),
        environment=container,
        command=tuple(_lines(job["script"])),
    )


def _lines(script: Any) -> Iterator[str]:
    """The lines of a script, which may be one text, or lists in lists."""
    if isinstance(script, list):
        for one in script:
            yield from _lines(one)
    elif script is not None:
        yield str(script)


def _local_needs(job: Mapping[str, Any]) -> set[str]:
    needs = job.get("needs") or []
    return {need if isinstance(need, str) else str(need["job"]) for need in needs if not _is_elsewhere(need)}


def _is_elsewhere(need: Any) -> bool:
    return isinstance(need, Mapping) and "pipeline" in need


def _hash(job: Mapping[str, Any]) -> str:
    variables = job.get("variables")
    return str(variables.get(HASH_VARIABLE, "")) if isinstance(variables, Mapping) else ""


def _line(variables: Mapping[str, str], path: str) -> SpackLine:
    match = re.match(r"\d+\.\d+", variables.get("SPACK_VERSION", ""))
    try:
        return SpackLine.parse(match[0] if match else variables.get("SPACK_VERSION", "unknown"))
    except ValueError as error:
        raise _fault(path, str(error)) from None


def _graph(locked: Lockfile) -> BuildGraph:
    specs = locked.specs
    packages = {key: Package(spec.name, spec.version, spec.is_external) for key, spec in specs.items()}
    return BuildGraph(packages, {key: frozenset(spec.dependencies) & specs.keys() for key, spec in specs.items()})


def _phases(locked: Lockfile, manifest: Any, path: str) -> Phases:
    """The spec groups: the lockfile has their roots, the environment what they need."""
    needs = needs_in(manifest)
    try:
        in_order(needs)
    except GroupError as error:
        raise _fault(f"{_beside(path)}/spack.yaml", str(error)) from None
    roots: dict[str, frozenset[str]] = {}
    for root, group in zip(locked.roots, locked.root_groups, strict=True):
        roots[group] = roots.get(group, frozenset()) | {root}
    return Phases(needs, roots) if any(needs.values()) else Phases()


def _beside(path: str) -> str:
    return f"{path.rpartition('/')[0]}/concrete_environment"


def _mirror(manifest: Any, services: Mapping[str, Mapping[str, Any]]) -> str | None:
    """The URL that is pushed to, from the environment, or else from the script that rebuilds the index."""
    mirrors = manifest.get("spack", {}).get("mirrors", {}) if isinstance(manifest, Mapping) else {}
    mirror = mirrors.get(DESTINATION) if isinstance(mirrors, Mapping) else None
    if isinstance(mirror, Mapping):
        push = mirror.get("push", mirror)
        mirror = push.get("url", mirror.get("url")) if isinstance(push, Mapping) else push
    if isinstance(mirror, str):
        return mirror
    script = services.get("rebuild-index", {}).get("script", [])
    words = " ".join(line for line in script if isinstance(line, str) and "update-index" in line).split()
    return words[-1] if words and "://" in words[-1] else None


def _fault(path: str, message: str, hint: str = "") -> InvalidInputError:
    return InvalidInputError([Fault(path, 1, 1, message, hint)])
