"""A Spack on this machine, run as a program. Nothing of it is imported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from job_creator.adapters.processes import ProcessError, run


@dataclass(frozen=True)
class Spack:
    """A Spack: its program, and variables that are added to its environment, such as `SPACK_GNUPGHOME`."""

    program: str = "spack"
    variables: Mapping[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, seconds: float = 600.0) -> str:
        """What a command prints on stdout. Raises `ProcessError`."""
        return run([self.program, *arguments], seconds=seconds, environment=self.variables)

    def python(self, script: Path, *arguments: str, seconds: float = 600.0) -> str:
        """What a Python script prints that runs inside Spack. Raises `ProcessError`."""
        return self.run("python", str(script), *arguments, seconds=seconds)


__all__ = ["ProcessError", "Spack"]
