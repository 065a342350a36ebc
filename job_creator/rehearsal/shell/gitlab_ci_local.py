"""gitlab-ci-local: one pipeline at a time, with its report read, because its exit code says little.

Source: https://github.com/firecow/gitlab-ci-local, version 4.75, which needs Node 22 or newer, rsync and git.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Final

from foundation.doors.processes import OutOfTimeError, ProcessError, follow, run
from foundation.errors import CouldNotAskError, NotReadyError
from job_creator.rehearsal.outcomes import FAILED, SUCCESS
from job_creator.rehearsal.shell.order import PlannedJob, still_to_start
from job_creator.rehearsal.shell.translation import folder_of

OLDEST_NODE: Final = 22
_PROGRAM: Final = "gitlab-ci-local"
_STATUS: Final = re.compile(r"^ (?P<status>PASS|FAIL|WARN)  (?P<job>.*?) *$")
NEWS: Final = "· "
"""How a line starts that says who is done."""
_RELAYED: Final = re.compile(rf"> ({NEWS}.*)$")
_FINISHED: Final = re.compile(
    r"^(?!pipeline )(?P<job>.+?) finished in (?P<time>[^ ]+ ?[a-z]*)(?P<failed> +FAIL.*)?\s*$"
)
_INSTALL: Final = "'make rehearsal-tools' installs what fits"
_LAST_LINES: Final = 20
_LIST_SECONDS: Final = 300.0


@dataclass(frozen=True)
class Told:
    """What gitlab-ci-local is told of a pipeline.

    `file` and `state` are relative to the checkout; `predefined` are variables of GitLab's that are set on purpose.
    """

    checkout: Path
    file: str
    state: str
    stages: tuple[str, ...]
    variables: Mapping[str, str]
    predefined: Collection[str]
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Engine:
    """Where Node and gitlab-ci-local are."""

    node: Path
    script: Path

    def run(self, told: Told, tell: Callable[[str], None], seconds: float | None) -> dict[str, str]:
        """Run a pipeline, with everything that GitLab would; returns `success` or `failed` for each job that ran.

        `tell` is told who is done. Raises `NotReadyError` if the pipeline could not be started, and `CouldNotAskError`
        after that many seconds.
        """
        end = None if seconds is None else monotonic() + seconds
        found = self._run(told, (), tell, seconds)
        # Nothing is skipped, and so nothing forgotten, where nothing failed.
        planned = self._planned(told) if FAILED in found.values() else ()
        while waiting := still_to_start(planned, told.stages, found):
            found |= self._run(told, waiting, tell, None if end is None else max(end - monotonic(), 1))
        return found

    def _run(
        self, told: Told, jobs: tuple[str, ...], tell: Callable[[str], None], seconds: float | None
    ) -> dict[str, str]:
        """Run the whole pipeline, or only these jobs of it, whatever they need."""
        code, output = _run([*self._command(told), *jobs], told.checkout, told.environment, tell, seconds)
        found = dict(_statuses(output))
        if not found or not found.keys() >= set(jobs):
            said = "\n".join(output.splitlines()[-_LAST_LINES:])
            raise NotReadyError(f"{told.file}: {_PROGRAM} ran no job (exit code {code}):\n{said}")
        return found

    def _planned(self, told: Told) -> tuple[PlannedJob, ...]:
        """The jobs of a pipeline with their rules evaluated. Raises `NotReadyError`."""
        argv = [*self._command(told), "--list-json"]
        try:
            listed = json.loads(run(argv, seconds=_LIST_SECONDS, folder=told.checkout, environment=told.environment))
        except (ProcessError, ValueError) as error:
            raise NotReadyError(f"{told.file}: {_PROGRAM} does not say what is in it: {error}") from None
        return tuple(
            PlannedJob(
                one["name"],
                one["stage"],
                one["when"],
                tuple(need["job"] for need in one["needs"]) if one.get("needs") is not None else None,
            )
            for one in listed
        )

    def _command(self, told: Told) -> list[str]:
        variables = told.variables
        return [
            *(str(self.node), str(self.script), "--no-color", "--shell-isolation", "--artifacts-to-source=false"),
            *("--evaluate-rule-changes=false", "--file", told.file, "--state-dir", told.state),
            *("--home", told.environment["HOME"], "--variables-file", f"{told.state}/variables.yml"),
            *("--ignore-predefined-vars", ",".join(sorted({*variables, *told.predefined}))),
            *(part for name, value in sorted(variables.items()) for part in ("--variable", f"{name}={value}")),
        ]


def find_engine(folders: Sequence[Path], path: str) -> Engine:
    """Node and gitlab-ci-local in one of some `node_modules`, or on `PATH`. Raises `NotReadyError`."""
    for folder in folders:
        node, script = folder / "node" / "bin" / "node", folder / _PROGRAM / "dist" / "index.js"
        if node.is_file() and script.is_file():
            return Engine(node, script)
    found, program = shutil.which("node", path=path), shutil.which(_PROGRAM, path=path)
    if not found or not program:
        absent = " and ".join(name for name, there in (("node", found), (_PROGRAM, program)) if not there)
        raise NotReadyError(f"{absent}: not installed; {_INSTALL}")
    _require_node(Path(found))
    return Engine(Path(found), Path(program).resolve())


def _require_node(node: Path) -> None:
    try:
        version = run([str(node), "--version"], seconds=30)
    except ProcessError as error:
        raise NotReadyError(str(error)) from None
    major = re.match(r"v(\d+)", version)
    if not major or int(major[1]) < OLDEST_NODE:
        raise NotReadyError(f"{node}: is {version.strip()}; {_PROGRAM} needs {OLDEST_NODE} or newer; {_INSTALL}")


def log_of(state: Path, job: str) -> Path:
    """The log of a job."""
    return state / "output" / f"{folder_of(job)}.log"


def artifacts_of(state: Path, job: str) -> Path:
    """The folder with what a job left."""
    return state / "artifacts" / folder_of(job)


def _run(
    argv: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    tell: Callable[[str], None],
    seconds: float | None,
) -> tuple[int, str]:
    """The exit code and the output of a run; passes on who is done as soon as it is."""
    lines: list[str] = []
    known: set[str] = set()

    def read(line: str) -> None:
        lines.append(line)
        # What a trigger job printed is printed once more at the end, if it failed.
        if (told := _news(line)) and told not in known:
            known.add(told)
            tell(told)

    try:
        # Killed alone, gitlab-ci-local would leave its jobs behind; the door ends them with it.
        code = follow(argv, read, folder=folder, environment=environment, seconds=seconds)
    except OutOfTimeError:
        raise CouldNotAskError(f"the rehearsal was not done within {(seconds or 0) / 60:g} minutes") from None
    return code, "\n".join(lines)


def _news(line: str) -> str:
    """Who is done, in this pipeline or, as the log of a trigger job has it, in a child."""
    if relayed := _RELAYED.search(line):
        return relayed[1]
    done = _FINISHED.match(line)
    return (
        f"{NEWS}{done['job'].rstrip()}: {'failed' if done['failed'] else 'done'} ({done['time'].strip()})"
        if done
        else ""
    )


def _statuses(output: str) -> Iterator[tuple[str, str]]:
    for line in output.splitlines():
        if match := _STATUS.match(line):
            yield match["job"], FAILED if match["status"] == "FAIL" else SUCCESS
