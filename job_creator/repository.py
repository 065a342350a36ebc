"""What a repository may leave out, because it comes with `jc`: what images are made from, and the template."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from foundation.doors.files import list_files, read_file
from job_creator import project_files

_PACKAGE: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class RepositoryPart:
    """A file or folder that is taken, whole, from the repository where that has it, and else from `jc`."""

    name: str
    """Where it is in a repository."""
    path: Path
    """Where it is on this machine."""
    is_default: bool
    """Whether it came with `jc`."""

    def files(self) -> dict[str, bytes]:
        """Every file by its path in the folder. Raises `FileAccessError`."""
        return {entry.path: read_file(self.path / entry.path) for entry in list_files(self.path)}


def part(root: Path, name: str) -> RepositoryPart:
    """One of `names.PARTS_WITH_DEFAULTS`, for the repository at `root`."""
    own = root / name
    return RepositoryPart(name, own, is_default=False) if own.exists() else default(name)


def default(name: str) -> RepositoryPart:
    """The same as it came with `jc`."""
    return RepositoryPart(name, _defaults() / name, is_default=True)


def missing(root: Path) -> tuple[str, ...]:
    """What the repository at `root` leaves to `jc`."""
    return tuple(name for name in project_files.PARTS_WITH_DEFAULTS if part(root, name).is_default)


def _defaults() -> Path:
    """Where a wheel has them (pyproject.toml); an installation that can be edited reads those of its checkout."""
    packed = _PACKAGE / "defaults"
    return packed if packed.is_dir() else _PACKAGE.parent
