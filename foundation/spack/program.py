"""A Spack on this machine, run as a program. Nothing of it is imported."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from foundation.doors.processes import ProcessError, conversation, run
from foundation.spack.releases import SpackLine

_CONCRETIZE_SECONDS = 3600.0


@dataclass(frozen=True)
class SpackProgram:
    """A Spack: its program, variables that are added to its environment, such as `SPACK_GNUPGHOME`, and folders with
    configuration that is stronger than its own (`spack -C`), the last one strongest."""

    program: str = "spack"
    variables: Mapping[str, str] = field(default_factory=dict)
    scopes: tuple[Path, ...] = ()
    before: tuple[str, ...] = ()
    """Words before it, such as those of a command that runs it on another machine."""

    def run(self, *arguments: str, seconds: float = 600.0) -> str:
        """What a command prints on stdout. Raises `ProcessError`."""
        return run([*self._start, *arguments], seconds=seconds, environment=self.variables)

    def python(self, script: Path, *arguments: str, seconds: float = 600.0) -> str:
        """What a Python script prints that runs inside Spack. Raises `ProcessError`."""
        return self.run("python", str(script), *arguments, seconds=seconds)

    def line(self) -> SpackLine:
        """Its release line. Raises `ProcessError`, and `ValueError` for one that is not supported."""
        match = re.match(r"\d+\.\d+", self.run("--version", seconds=60).strip())
        return SpackLine.parse(match[0] if match else "?")

    def concretize(self, folder: Path) -> None:
        """Write the `spack.lock` of an environment. Raises `ProcessError`."""
        self.run("-e", str(folder), "concretize", seconds=_CONCRETIZE_SECONDS)

    def with_scope(self, folder: Path) -> SpackProgram:
        """The same with one more folder of configuration."""
        return replace(self, scopes=(*self.scopes, folder))

    @contextmanager
    def talk(
        self, script: Path, *arguments: str, log: Path, holds: tuple[int, ...] = (), seconds: float | None = None
    ) -> Iterator[Callable[[str], str]]:
        """A Python script inside Spack that answers each line on its stdin with one on its stdout.

        The function that is handed out sends a line and returns the answer; it raises `ProcessError` if the script
        ends before that. The script ends when its stdin does, so also when this process is killed. What it says on
        stderr goes to the end of the file `log`. It keeps the file descriptors in `holds` open. With `seconds`, the
        function raises `OutOfTimeError` where an answer takes longer, and the script is ended.
        """
        argv = [*self._start, "python", str(script), *arguments]
        with conversation(argv, environment=self.variables, log=log, holds=holds, seconds=seconds) as answer:
            yield answer

    @property
    def _start(self) -> list[str]:
        return [*self.before, self.program, *(word for scope in self.scopes for word in ("-C", str(scope)))]


__all__ = ["ProcessError", "SpackProgram"]
