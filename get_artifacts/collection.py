"""The work of `ga` from its first question to its last file."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from foundation.doors.files import write_files
from foundation.doors.http import Patience
from foundation.errors import (
    CouldNotAskError,
    DamagedError,
    FileAccessError,
    LimitExceededError,
    NotThereError,
    RefusedError,
    SpacktainersError,
)
from foundation.gitlab import MAX_ARTIFACT_BYTES
from get_artifacts import output_folder
from get_artifacts.archives import UnpackLimits
from get_artifacts.discovery import wait_for
from get_artifacts.download import Arrival, Fetcher
from get_artifacts.family import PipelineId
from get_artifacts.gitlab_api import GitLabServer
from get_artifacts.report import progress
from get_artifacts.selection import Chosen, WantedArtifacts, dotenv

if TYPE_CHECKING:
    from rich.console import Console

logger = logging.getLogger(__name__)

_WORST_FIRST: Final = (
    CouldNotAskError,
    FileAccessError,
    DamagedError,
    RefusedError,
    NotThereError,
    LimitExceededError,
)


@dataclass(frozen=True, slots=True)
class GatherRequest:
    """What `ga` is asked for."""

    parent: PipelineId
    wanted: WantedArtifacts = field(default_factory=WantedArtifacts)
    out_dir: Path = Path()
    dotenv: Path | None = None
    """The file that says which architectures are complete; none is written without it."""
    unpacks: bool = True
    """Whether archives are unpacked, or kept as they are."""
    wait_seconds: float = 0
    """How long to wait at most for jobs to end."""
    limits: UnpackLimits = field(default_factory=UnpackLimits)
    max_archive_bytes: int = MAX_ARTIFACT_BYTES
    """The size in bytes that GitLab allows for an archive from which a trigger takes its YAML."""


@dataclass(frozen=True, slots=True)
class GatherOutcome:
    """The artifacts that are in the folder now, and what went wrong with the others."""

    arrivals: tuple[Arrival, ...]
    errors: tuple[SpacktainersError, ...]

    def require_complete(self) -> None:
        """Raise one error for all that went wrong, of the worst kind among them."""
        for kind in _WORST_FIRST:
            if any(isinstance(error, kind) for error in self.errors):
                raise kind("\n".join(map(str, self.errors)))


def gather(server: GitLabServer, request: GatherRequest, patience: Patience, console: Console | None) -> GatherOutcome:
    """Find, fetch and unpack what is wanted, and write the dotenv report.

    What can be fetched is, whatever happens to the rest. Raises `CouldNotAskError`, `NotReadyError`, `NotThereError`
    and `RefusedError` when nothing is.
    """
    choice = wait_for(server, request.parent, request.wanted, request.wait_seconds)
    for item in choice.items:
        if item.job.status != "success":
            logger.warning("job %r ended as '%s'; taking what it left", item.job.name, item.job.status)
    total = sum(item.job.archive_bytes or 0 for item in choice.items)
    with output_folder.opened(request.out_dir) as opened, progress(console, total) as display:
        fetcher = Fetcher(server, opened, display, request.limits, patience, request.unpacks)
        arrivals, errors = fetcher.fetch_all(choice.items)
    if request.dotenv is not None:
        _write_dotenv(request.dotenv, choice, arrivals)
    errors += [NotThereError(line) for line in choice.missing]
    errors += _over_the_limit(arrivals, request.max_archive_bytes)
    return GatherOutcome(tuple(arrivals), tuple(errors))


def _write_dotenv(path: Path, choice: Chosen, arrivals: Sequence[Arrival]) -> None:
    """Nothing is written where no architecture plays a part."""
    there = {arrival.item for arrival in arrivals}
    architectures = {item.architecture for item in choice.items if item.architecture}
    arrived = {name: all(item in there for item in choice.items if item.architecture == name) for name in architectures}
    if arrived:
        write_files(path.parent, {path.name: dotenv(arrived).encode()})


def _over_the_limit(arrivals: Sequence[Arrival], limit: int) -> list[SpacktainersError]:
    """How far the archive of the job that runs this will be beyond what a trigger may include, if it is.

    The runner that packed the files will take as much room for them again.
    """
    sizes = {
        f"{arrival.item.folder}/{file.name}": file
        for arrival in arrivals
        if arrival.item.architecture
        for file in arrival.files
    }
    if not sizes:
        return []
    from job_creator.engines.gitlab.sizes import archive_size  # takes longer to import than what else is needed

    archive = archive_size(dict.fromkeys(sizes, b"")) + sum(file.compressed for file in sizes.values())
    found = {"the archive of these artifacts": archive, **{name: file.bytes for name, file in sizes.items()}}
    return [
        LimitExceededError(
            f"{name}: {size:,} bytes, {size - limit:,} more than a trigger's YAML may come from ({limit:,}); "
            "choose less by --path, or raise 'max_artifact_bytes' in the site file if your server allows more"
        )
        for name, size in found.items()
        if size > limit
    ]
