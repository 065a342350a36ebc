"""Which artifacts to fetch, and where each goes: pure functions over what GitLab said."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Final

from foundation.errors import NotReadyError, NotThereError, RefusedError
from get_artifacts.family import Family, FinishedJob
from job_creator.engines.gitlab import names

_SHOWN_NAMES: Final = 30
_ARCHITECTURE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_NO_FOLDER_NAME: Final = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class _Kind:
    """A job that exists once for each architecture, its artifacts folder, and the file that the next trigger reads."""

    job: Callable[[str], str]
    folder: Callable[[str], str]
    pipeline: str

    def architecture(self, name: str) -> str | None:
        """The architecture of a job of this kind. What comes from the server ends up in paths, so not everything is."""
        prefix = self.job("")
        rest = name.removeprefix(prefix)
        return rest if name.startswith(prefix) and _ARCHITECTURE.fullmatch(rest) else None


_KINDS: Final = (
    _Kind(names.process_job, names.package_artifacts, names.PACKAGE_PIPELINE),
    _Kind(names.containers_job, names.container_artifacts, names.CONTAINER_PIPELINE),
)


@dataclass(frozen=True, slots=True)
class WantedArtifacts:
    """What is asked for; names are globs. Without `jobs`, those that the next triggers need."""

    bridges: tuple[str, ...] = (names.BASE_BRIDGE,)
    jobs: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    """Which files of an archive, as globs; without any, the pipelines of the jobs that are known, all of others."""


@dataclass(frozen=True, slots=True)
class Archive:
    """One archive to fetch, the folder that it is for, and which of its files go there."""

    job: FinishedJob
    folder: str
    architecture: str | None
    paths: tuple[str, ...]
    required: str | None
    """A file that has to be there, by its path in the folder."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What can be fetched, and for everything else that is wanted, why it cannot."""

    items: tuple[Archive, ...]
    missing: tuple[str, ...]


def is_named(name: str, globs: Iterable[str]) -> bool:
    """Whether a name is one of these, or fits one as a glob; copies of a job have brackets in their names."""
    return any(name == glob or fnmatchcase(name, glob) for glob in globs)


def choose(family: Family, wanted: WantedArtifacts, now: datetime) -> Chosen:
    """What to fetch.

    Raises `NotReadyError` while something that is wanted may still come, `NotThereError` when nothing of it is there,
    `RefusedError` when two jobs would go to one folder. The messages list what there is.
    """
    if not family.chosen:
        raise NotThereError(
            f"{family.parent}: has no trigger job {_either(wanted.bridges)}; "
            f"its trigger jobs are {_listed(bridge.name for bridge in family.bridges)}"
        )
    found = [job for job in family.jobs if _is_wanted(job, wanted)]
    _require_finished(family, wanted, found)
    missing = [
        f"trigger job {bridge.name!r}: ended as '{bridge.status}' without a pipeline {bridge.failure}".rstrip()
        for bridge in family.chosen
        if bridge.downstream is None
    ]
    missing += [
        f"no job {glob!r} in {_pipelines(family)}"
        for glob in wanted.jobs
        if not any(is_named(job.name, [glob]) for job in found)
    ]
    missing += [f"job {job.name!r}: {job.why_empty(now)}" for job in found if job.archive_bytes is None]
    items = _items([job for job in found if job.archive_bytes is not None], wanted)
    if not items:
        what = "\n".join(missing) or f"no job {_either(_usual_names())} in {_pipelines(family)}"
        raise NotThereError(f"{what}\nthe jobs there are {_listed(job.name for job in family.jobs)}")
    return Chosen(items, tuple(missing))


def dotenv(arrived: Mapping[str, bool]) -> str:
    """The dotenv report: a line for each architecture of which everything `arrived`.

    Letters, digits and `_` may stand in the name of a variable (GitLab docs, "artifacts:reports:dotenv").
    """
    lines = {f"{re.sub(r'[^A-Za-z0-9_]', '_', name)}=yes\n" for name, complete in arrived.items() if complete}
    return "".join(sorted(lines))


def _is_wanted(job: FinishedJob, wanted: WantedArtifacts) -> bool:
    if wanted.jobs:
        return is_named(job.name, wanted.jobs)
    return any(kind.architecture(job.name) for kind in _KINDS)


def _require_finished(family: Family, wanted: WantedArtifacts, found: Sequence[FinishedJob]) -> None:
    """Raise `NotReadyError` for what is still running, or where what was not found may yet be triggered."""
    waiting = [f"job {job.name!r} is '{job.status}'" for job in found if not job.is_finished]
    searched = wanted.jobs or ("",)
    unmatched = not found or any(not any(is_named(job.name, [glob]) for job in found) for glob in searched if glob)
    bridges = family.waiting_bridges if unmatched else [one for one in family.chosen if one.may_still_trigger]
    waiting += [f"trigger job {bridge.name!r} is '{bridge.status}', its pipeline is yet to come" for bridge in bridges]
    if waiting:
        raise NotReadyError(f"{family.parent}: not finished yet\n" + "\n".join(f"  {line}" for line in waiting))


def _items(jobs: Sequence[FinishedJob], wanted: WantedArtifacts) -> tuple[Archive, ...]:
    folders = [_NO_FOLDER_NAME.sub("_", job.name).strip("._") or "job" for job in jobs]
    times = Counter(folders)
    items = [
        _known_item(job, wanted)
        or Archive(job, folder if times[folder] == 1 else f"{folder}.{job.id}", None, wanted.paths or ("**",), None)
        for job, folder in zip(jobs, folders, strict=True)
    ]
    for folder, count in Counter(item.folder for item in items).items():
        if count > 1:
            rivals = ", ".join(str(item.job.pipeline) for item in items if item.folder == folder)
            raise RefusedError(f"{folder}: would be filled from {rivals}; choose one by --bridge")
    return tuple(items)


def _known_item(job: FinishedJob, wanted: WantedArtifacts) -> Archive | None:
    for kind in _KINDS:
        architecture = kind.architecture(job.name)
        if architecture is not None:
            folder = kind.folder(architecture)
            paths = wanted.paths or (f"{folder}/*.yaml",)
            return Archive(job, folder, architecture, paths, None if wanted.paths else kind.pipeline)
    return None


def _usual_names() -> list[str]:
    return [kind.job("<architecture>") for kind in _KINDS]


def _pipelines(family: Family) -> str:
    return " and ".join(str(child.id) for child in family.children)


def _either(globs: Sequence[str]) -> str:
    return " or ".join(repr(glob) for glob in globs)


def _listed(found: Iterable[str]) -> str:
    every = sorted(set(found))
    more = f" and {len(every) - _SHOWN_NAMES} more" if len(every) > _SHOWN_NAMES else ""
    return ", ".join(repr(name) for name in every[:_SHOWN_NAMES]) + more if every else "none"
