"""Loads and runs what was spliced, beside the original, with nothing of this process's environment."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from foundation.doors.processes import OutOfTimeError, follow
from foundation.errors import NotReadyError, naming
from job_creator.studies.splices.facts.elf import MAGIC, read_elf
from job_creator.studies.splices.verification.outcomes import Trial, complaints

PREFIX: Final = "{prefix}"
"""In a command, stands for the prefix of the binary."""
_SECONDS: Final = 60.0
_TIMED_OUT: Final = -1000
_LINES: Final = 3
_MOST_PROGRAMS: Final = 20


@dataclass(frozen=True)
class Laboratory:
    """Where programs run: an empty home, and the programs that every system has."""

    home: Path

    @property
    def environment(self) -> Mapping[str, str]:
        """All variables that they see."""
        return {"HOME": str(self.home), "PATH": "/usr/bin:/bin", "LC_ALL": "C", "LD_BIND_NOW": "1"}

    def run(self, words: Sequence[str], **variables: str) -> tuple[int, str]:
        """The exit code of a program and what it printed; a signal is negative."""
        lines: list[str] = []
        try:
            environment = {**self.environment, **variables}
            code = follow(words, lines.append, folder=self.home, environment=environment, seconds=_SECONDS)
        except OutOfTimeError:
            return _TIMED_OUT, "was not done in time"
        except NotReadyError as error:
            return 127, str(error)
        return code, "\n".join(lines)

    def loader_complaints(self, rewired: Mapping[str, str]) -> Iterator[str]:
        """What the loader does not find of all files in prefixes; `rewired` has the prefix that each was made of.

        The loader resolves every symbol and starts nothing (`ldd -r`).
        """
        for prefix, original in sorted(rewired.items()):
            for path in elf_files(Path(prefix)):
                before = Path(original) / path.relative_to(prefix)
                facts = read_file_facts(path)
                if facts:
                    told = complaints(
                        _same(self._traced(before, facts), original), _same(self._traced(path, facts), prefix)
                    )
                    yield from (f"{path.relative_to(prefix)}: {one}" for one in told)

    def _traced(self, path: Path, loader: str) -> str:
        tracing = {"LD_TRACE_LOADED_OBJECTS": "1", "LD_WARN": "yes"}
        return self.run([loader, str(path)], **tracing)[1]

    def trials(self, prefix: Path, original: Path, commands: Sequence[str]) -> Iterator[Trial]:
        """Run commands in both prefixes; without any, each program of the binary with `--version`."""
        given = list(commands) or [f"{PREFIX}/{name} --version" for name in programs(prefix)]
        for command in given:
            before, _ = self.run(shlex.split(command.replace(PREFIX, shlex.quote(str(original)))))
            after, output = self.run(shlex.split(command.replace(PREFIX, shlex.quote(str(prefix)))))
            yield Trial(command.removeprefix(f"{PREFIX}/"), before, after, " | ".join(output.splitlines()[-_LINES:]))


def _same(text: str, prefix: str) -> str:
    """With one name for the prefix, so that only what differs in meaning differs."""
    return text.replace(prefix, PREFIX)


def elf_files(prefix: Path) -> Iterator[Path]:
    """The ELF files below a prefix, links apart."""
    with naming(prefix):
        for path in sorted(prefix.rglob("*")):
            if path.is_file() and not path.is_symlink() and ".spack" not in path.relative_to(prefix).parts:
                with path.open("rb") as stream:
                    if stream.read(len(MAGIC)) == MAGIC:
                        yield path


def programs(prefix: Path) -> list[str]:
    """The ELF programs in `bin`, by their path in the prefix; of many, the first ones."""
    found = [path for path in elf_files(prefix) if path.parent == prefix / "bin" and os.access(path, os.X_OK)]
    return [path.relative_to(prefix).as_posix() for path in found[:_MOST_PROGRAMS]]


def read_file_facts(path: Path) -> str:
    """The loader of this machine for a file; empty where it is for another machine, or cannot be loaded."""
    loaders = {
        "EM_X86_64/64/little": "/lib64/ld-linux-x86-64.so.2",
        "EM_AARCH64/64/little": "/lib/ld-linux-aarch64.so.1",
        "EM_PPC64/64/little": "/lib64/ld64.so.2",
    }
    with naming(path), path.open("rb") as stream:
        facts = read_elf(stream)
    loader = loaders.get(facts.machine, "")
    is_dynamic = facts.needed or facts.soname or facts.is_program
    return loader if is_dynamic and Path(loader).exists() else ""
