"""A lockfile, a build cache and a stand-in for Spack, and `jc build` with them in a process of its own."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.build_runs import EIGHT, lock_of
from tests.samples import REPOSITORY

FAKE = REPOSITORY / "tests" / "fakes" / "folder_spack.py"


@dataclass(frozen=True)
class BuildProject:
    """A folder with all of it."""

    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    """More variables for `jc`."""
    options: tuple[str, ...] = ()
    """What each `jc build` is told."""

    @classmethod
    def made(
        cls,
        folder: Path,
        needs: Mapping[str, Sequence[str]] = EIGHT,
        *,
        environment: Mapping[str, str] | None = None,
        options: tuple[str, ...] = (),
    ) -> BuildProject:
        """Write lockfile and stand-in."""
        project = cls(folder, environment or {}, options)
        project.notes.mkdir(parents=True)
        (folder / "toys.lock").write_bytes(lock_of(needs))
        # -SE: nobody's site-packages, which take a hundred times as long as the rest.
        project.spack.write_text(
            f'#!/bin/sh\nexec {sys.executable} -SE {FAKE} {shlex.quote(str(project.notes))} "$@"\n'
        )
        project.spack.chmod(0o755)
        return project

    @property
    def notes(self) -> Path:
        """What the stand-in notes and is told."""
        return self.folder / "notes"

    @property
    def spack(self) -> Path:
        """The stand-in."""
        return self.folder / "spack"

    @property
    def mirror(self) -> Path:
        """The build cache."""
        return self.folder / "mirror"

    def command(self, *arguments: str, run: str = "run") -> list[str]:
        """`jc build` of all packages; `run` is the name of its folder."""
        own = ["--mirror", str(self.mirror), "--spack", str(self.spack), "--run", str(self.folder / run)]
        words = ["--scratch", str(self.folder / "scratch"), "--least-free", "1MB", *own, *self.options, *arguments]
        return self.jc("build", str(self.folder / "toys.lock"), *words)

    def jc(self, *arguments: str) -> list[str]:
        """A command of `jc`."""
        return [sys.executable, "-m", "job_creator", *arguments]

    def variables(self, **more: str) -> dict[str, str]:
        """The environment of its commands."""
        return {**os.environ, "XDG_CACHE_HOME": str(self.folder / "home"), **self.environment, **more}

    def build(self, *arguments: str, run: str = "run", code: int = 0, **variables: str) -> dict[str, Any]:
        """Run it to its end; what it says in JSON."""
        command = self.command(*arguments, "--json", run=run)
        done = subprocess.run(
            command, env=self.variables(**variables), cwd=REPOSITORY, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stdout + done.stderr
        value: dict[str, Any] = json.loads(done.stdout) if done.stdout else {}
        return value

    @contextmanager
    def started(self, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        """Start it; the process has ended when the block has."""
        environment = self.variables()
        command = self.command(*arguments)
        with subprocess.Popen(command, env=environment, cwd=REPOSITORY, stdout=subprocess.DEVNULL) as process:
            try:
                yield process
            finally:
                process.kill()

    def tell(self, name: str, value: str = "") -> None:
        """Tell the stand-in what goes wrong."""
        (self.notes / name).write_text(value)

    def calls(self, what: str) -> list[dict[str, Any]]:
        """What the stand-in was called for."""
        path = self.notes / "calls"
        lines = path.read_text().splitlines() if path.is_file() else []
        return [call for call in map(json.loads, lines) if call["what"] == what]

    def present(self) -> set[str]:
        """The packages in the build cache."""
        return {path.name for path in (self.mirror / "v3/manifests/spec").glob("*")}

    def states(self, told: Mapping[str, Any]) -> dict[str, str]:
        """What became of each package."""
        return {one["package"]: one["state"] for one in told["packages"]}
