"""A Spack on this machine, run as a program. Nothing of it is imported."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

from foundation.doors.processes import ProcessError, missing, run
from foundation.spack.line import SpackLine

_CONCRETIZE_SECONDS = 3600.0
_LAST_LINES = 4


@dataclass(frozen=True)
class SpackProgram:
    """A Spack: its program, variables that are added to its environment, such as `SPACK_GNUPGHOME`, and folders with
    configuration that is stronger than its own (`spack -C`), the last one strongest."""

    program: str = "spack"
    variables: Mapping[str, str] = field(default_factory=dict)
    scopes: tuple[Path, ...] = ()

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
        self, script: Path, *arguments: str, log: Path, holds: tuple[int, ...] = ()
    ) -> Iterator[Callable[[str], str]]:
        """A Python script inside Spack that answers each line on its stdin with one on its stdout.

        The function that is handed out sends a line and returns the answer; it raises `ProcessError` if the script
        ends before that. The script ends when its stdin does, so also when this process is killed. What it says on
        stderr goes to the end of the file `log`. It keeps the file descriptors in `holds` open.
        """
        argv = [*self._start, "python", str(script), *arguments]
        with log.open("ab") as errors, _started(argv, self.variables, errors, holds) as process:
            yield lambda line: _answer(argv, process, line, log)

    @property
    def _start(self) -> list[str]:
        return [self.program, *(word for scope in self.scopes for word in ("-C", str(scope)))]


@contextmanager
def _started(
    argv: list[str], variables: Mapping[str, str], errors: IO[bytes], holds: tuple[int, ...]
) -> Iterator[subprocess.Popen[str]]:
    try:
        process = subprocess.Popen(  # noqa: S603 - an argument list of our own making
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, **variables},
            pass_fds=holds,
        )
    except FileNotFoundError:
        raise missing(argv[0]) from None
    with process:
        try:
            yield process
        except BaseException:
            process.kill()
            raise


def _answer(argv: list[str], process: subprocess.Popen[str], line: str, log: Path) -> str:
    if process.stdin and process.stdout:
        with suppress(BrokenPipeError):
            process.stdin.write(f"{line}\n")
            process.stdin.flush()
            if answered := process.stdout.readline():
                return answered.rstrip("\n")
    raise ProcessError(argv, f"ended too early; {_end(log)}")


def _end(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return f"{log} ends with: {' | '.join(lines[-_LAST_LINES:])}" if lines else f"{log} is empty"


__all__ = ["ProcessError", "SpackProgram"]
