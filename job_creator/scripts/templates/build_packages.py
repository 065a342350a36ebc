"""Builds the packages of a job one after the other, and writes down what became of each.

    spack python build_packages.py [--apart] [--see NAME,NAME] [--read NAME,NAME=OTHER]

It runs in an active environment, with the variables that `spack ci generate` writes into jobs. It builds what
`SPACKTAINERS_PACKAGES` lists (`name@version/hash name@version/hash`, dependencies first), or else the package of
`SPACK_JOB_SPEC_DAG_HASH`; first letters of a hash do. Each package goes through three phases of `package_phases.py`,
each a process of its own, with its own keys:

- prepare reads build caches. Either the package is in one already, or its dependencies are installed from there, and
  its sources are fetched.
- build compiles. Foreign code runs here.
- push signs the package, where there is a key, and writes it to the build cache. No recipe is read for that.

With `--see`, the first two get the variables that it names and those that Spack needs, prepare also those of `--read`,
and push all. With `--apart`, where this runs as root, a user of its own runs each of the first two (`apart.py`); the
install tree belongs to them meanwhile, so no other job may use it.

A package is skipped if something that it needs is not there, whether that failed here or in another job; all others are
built. The program ends with 1 if any package was not built.

`$SPACK_ARTIFACTS_ROOT/outcomes/` gets `packages.jsonl`, a JSON object a line for each package: `hash`, `package`,
`version`, `environment`, `state` (built, reused, failed, skipped), `because` (a sentence, empty for what was built),
`seconds`, `peak_memory_bytes` (the most that its processes had in memory at once, looked at once a second), `started`
(in seconds since 1970, 0 for what was skipped), `phases` (seconds of each), `engine`, `worker`, `attempt`, `failure`
(own, dependency), `log`, as `jc build` has them, too; and
`junit.xml`, the same as test cases; `made_with.json` has what `jc reproduce` has to know: the job's `image`,
`spack_commit` and `recipes_commit`. Logs, tests and what reproduces a build have a folder for each package below those
that Spack's variables name, since `spack ci rebuild` empties them.

Nothing of this project is imported here but what lies beside it, and nothing of Spack.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import platform
import re
import sys
import threading
import time
import zlib
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from xml.sax.saxutils import escape, quoteattr

if TYPE_CHECKING:
    from job_creator.scripts.templates import apart, workplace
else:
    # Spack 0.21 runs files without telling them their name.
    sys.path.insert(0, str(Path(globals().get("__file__", sys.argv[0])).parent))
    import apart
    import workplace

SHOWN_LINES = 40
"""Of a log, in the report of a package that failed."""
LONGEST_LINE = 1 << 16
"""Bytes; a longer line of a log counts as several."""
LETTERS = 7
"""Of a hash, where people read it."""
FOLDERS = {"SPACK_JOB_LOG_DIR": "logs", "SPACK_JOB_REPRO_DIR": "reproduction", "SPACK_JOB_TEST_DIR": "tests"}
"""Variables of Spack that name folders below `SPACK_ARTIFACTS_ROOT`, and their usual names."""
FAILURES = {"failed": "own", "skipped": "dependency"}  # as far as a job knows it
NO_TEXT = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[^\t\n\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd]")
"""Colours, and what may not stand in XML."""


class JobPackage(NamedTuple):
    """A package of this job, as the lockfile has it."""

    hash: str
    name: str
    version: str
    needs: list[str]
    """DAG hashes of the packages that it needs directly, for whatever reason."""

    def __str__(self) -> str:
        """As Spack writes it."""
        return f"{self.name}@{self.version}/{self.hash[:LETTERS]}"

    @property
    def folder(self) -> str:
        """The name of its folders."""
        return f"{self.name}-{self.hash[:LETTERS]}"


class PhaseAnswer(NamedTuple):
    """What became of a package, or of one of its phases; `state` is empty as long as there is more to do."""

    state: str = ""
    because: str = ""


class JobOutcome(NamedTuple):
    """What became of a package, and what it took."""

    package: JobPackage
    answer: PhaseAnswer
    seconds: float
    peak_memory_bytes: int
    started: float
    phases: dict[str, float]


class JobRun(NamedTuple):
    """What packages are built with: the variables of this job, and who runs what."""

    environment: dict[str, str]
    place: workplace.Workplace


def packages_of(environment: dict[str, str]) -> list[JobPackage]:
    """The packages of this job, in the order in which they are built. Raises `SystemExit` for what is not there."""
    lock = Path(environment["SPACK_CONCRETE_ENV_DIR"]) / "spack.lock"
    specs = json.loads(lock.read_text(encoding="utf-8"))["concrete_specs"]
    listed = environment.get("SPACKTAINERS_PACKAGES", "").split() or [environment["SPACK_JOB_SPEC_DAG_HASH"]]
    found = []
    for letters in (one.rpartition("/")[2] for one in listed):
        same = [key for key in specs if key.startswith(letters)]
        if len(same) != 1:
            sys.exit(f"{lock}: has {len(same)} packages whose hash begins with {letters!r}")
        spec = specs[same[0]]
        needs = [one["hash"] for one in spec.get("dependencies", ())]
        found.append(JobPackage(same[0], spec["name"], str(spec["version"]), needs))
    return found


def run(arguments: Sequence[str], environment: dict[str, str]) -> int:
    """Build the packages of this job; 1 if one of them is not there in the end."""
    parser = argparse.ArgumentParser(description="Builds the packages of a job.")
    parser.add_argument("--apart", action="store_true", help="let other users run foreign code")
    parser.add_argument("--see", type=apart.names, help="variables that foreign code gets")
    parser.add_argument("--read", type=apart.names, default={}, help="variables with which build caches are read")
    asked = parser.parse_args(arguments)
    packages = packages_of(environment)
    if asked.apart and apart.is_possible():
        place: workplace.Workplace = workplace.SeparateUsers(environment, asked.see or (), asked.read)
    else:
        is_rehearsal = bool(environment.get(apart.SAME_USER))
        place = workplace.Workplace(environment, None if is_rehearsal else asked.see, asked.read)
        if asked.apart and not is_rehearsal:
            apart.warn()
    try:
        place.set_up([package.hash for package in packages])
        return built_all(packages, JobRun(environment, place))
    finally:
        place.close()


def built_all(packages: Sequence[JobPackage], job: JobRun) -> int:
    """Build packages one after the other; 1 if one of them is not there in the end."""
    container = Path(job.environment["SPACK_ARTIFACTS_ROOT"]).name
    folder = Path(job.environment["SPACK_ARTIFACTS_ROOT"]) / "outcomes"
    folder.mkdir(parents=True, exist_ok=True)
    outcomes: list[JobOutcome] = []
    write(folder, container, outcomes)
    (folder / "made_with.json").write_text(json.dumps(workplace.made_with(job.environment)), encoding="utf-8")
    lost: dict[str, JobPackage] = {}
    for package in packages:
        outcome = built(package, lost, job, alone=len(packages) == 1)
        if outcome.answer.state in ("failed", "skipped"):
            lost[package.hash] = package
        outcomes.append(outcome)
        # Whoever ends this job early still finds what was done.
        write(folder, container, outcomes)
    for outcome in outcomes:
        why = f": {outcome.answer.because}" if outcome.answer.because else ""
        say(f"{outcome.answer.state:7} {outcome.package}, {outcome.seconds:.0f} s{why}")
    return 1 if lost else 0


def built(package: JobPackage, lost: dict[str, JobPackage], job: JobRun, *, alone: bool) -> JobOutcome:
    """Take a package through its phases, in a section of the log that is closed at first if there are others.

    `lost` are packages of this job that are not there, by DAG hash.
    """
    needed = next((lost[key] for key in package.needs if key in lost), None)
    if needed is not None:
        return JobOutcome(package, PhaseAnswer("skipped", f"{needed} was not built"), 0.0, 0, 0.0, {})
    section = f"package_{package.hash[:LETTERS]}"
    collapsed = "" if alone else "[collapsed=true]"
    say(f"\x1b[0Ksection_start:{int(time.time())}:{section}{collapsed}\r\x1b[0K{package}")
    start, started = time.monotonic(), time.time()
    answer, peak, phases = PhaseAnswer(), 0, {}
    for name, phase in (("prepare", prepared), ("build", compiled), ("push", pushed)):
        begin = time.monotonic()
        answer, memory = phase(package, job)
        phases[name] = round(time.monotonic() - begin, 1)
        peak = max(peak, memory)
        if answer.state:
            break
    say(f"\x1b[0Ksection_end:{int(time.time())}:{section}\r\x1b[0K")
    return JobOutcome(package, answer, time.monotonic() - start, peak, started, phases)


def prepared(package: JobPackage, job: JobRun) -> tuple[PhaseAnswer, int]:
    """Look for the package, and install what it needs."""
    code, memory = phase_of("prepare", package, job, str(job.place.answers / workplace.ANSWER))
    answer = job.place.answer()
    if code == 0 and answer:
        return PhaseAnswer(*answer), memory
    return PhaseAnswer("failed", f"its dependencies could not be looked at: exit code {code}"), memory


def compiled(package: JobPackage, job: JobRun) -> tuple[PhaseAnswer, int]:
    """Compile and install it."""
    code, memory = phase_of("build", package, job)
    return PhaseAnswer("failed", f"it does not build: exit code {code}") if code else PhaseAnswer(), memory


def pushed(package: JobPackage, job: JobRun) -> tuple[PhaseAnswer, int]:
    """Write it to the build cache."""
    fault = job.place.before("push", package.hash)
    if fault:
        return PhaseAnswer("failed", f"what it left is not taken: {fault}"), 0
    code, memory = phase_of("push", package, job)
    return PhaseAnswer("failed", "it was built and could not be pushed") if code else PhaseAnswer("built"), memory


def phase_of(phase: str, package: JobPackage, job: JobRun, *more: str) -> tuple[int, int]:
    """Run a phase in Spack's interpreter; its exit code, and the most memory that all its processes took, in bytes."""
    own = {"SPACK_JOB_SPEC_PKG_NAME": package.name, "SPACK_JOB_SPEC_DAG_HASH": package.hash}
    folders = {}
    for variable, usual in FOLDERS.items():
        root = job.environment.get(variable) or f"{job.environment['SPACK_ARTIFACTS_ROOT']}/{usual}"
        folders[variable] = f"{root}/{package.folder}"
    if phase != "push":
        job.place.before(phase, package.hash)
    sys.stdout.flush()
    with job.place.start(phase, package.hash, {**own, **folders}, *more) as process:
        if process.stdin:
            process.stdin.close()
        ended = threading.Event()
        peak = [0]
        watch = threading.Thread(target=watch_memory, args=(process.pid, ended, peak), daemon=True)
        watch.start()
        _, status, usage = os.wait4(process.pid, 0)
        code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
        process.returncode = code
        ended.set()
        watch.join()
    job.place.after(phase, list(folders.values()))
    # Of processes that ended before anybody looked, the largest one is known; Linux counts in KiB.
    return code, max(peak[0], usage.ru_maxrss * 1024)


def watch_memory(process: int, ended: threading.Event, peak: list[int]) -> None:
    """Keep the largest sum of the resident memory of a process and all below it, in bytes; 0 without /proc."""
    page = os.sysconf("SC_PAGE_SIZE")
    while not ended.wait(1.0 if peak[0] else 0.1):
        below: dict[int, list[int]] = {}
        pages: dict[int, int] = {}
        for status in Path("/proc").glob("[0-9]*/stat"):
            try:
                # The name of a program stands in brackets, and may hold anything.
                fields = status.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            except OSError:
                continue
            number = int(status.parent.name)
            below.setdefault(int(fields[1]), []).append(number)
            pages[number] = int(fields[21])
        waiting, total = [process], 0
        while waiting:
            one = waiting.pop()
            total += pages.get(one, 0) * page
            waiting += below.get(one, ())
        peak[0] = max(peak[0], total)


def write(folder: Path, container: str, outcomes: list[JobOutcome]) -> None:
    """Write down what is known so far, whole files at a time."""
    for name, text in (("packages.jsonl", records(container, outcomes)), ("junit.xml", junit(container, outcomes))):
        new = folder / f".{name}"
        new.write_text(text, encoding="utf-8")
        new.replace(folder / name)


def records(container: str, outcomes: list[JobOutcome]) -> str:
    """A JSON object for each package, one a line."""
    # A job that is tried again does not know of it; its records take the place of those before.
    job = {"engine": "gitlab", "worker": os.environ.get("CI_RUNNER_DESCRIPTION") or platform.node(), "attempt": 1}
    lines = [
        {"hash": package.hash, "package": package.name, "version": package.version, "environment": container}
        | answer._asdict()
        | {"seconds": round(seconds, 1), "peak_memory_bytes": peak, "started": round(started, 1), "phases": phases}
        | {**job, "failure": FAILURES.get(answer.state, ""), "log": ""}
        for package, answer, seconds, peak, started, phases in outcomes
    ]
    return "".join(json.dumps(line) + "\n" for line in lines)


def junit(container: str, outcomes: list[JobOutcome]) -> str:
    """The same as JUnit's XML, which GitLab shows; what failed has the end of its log with it."""
    cases = "".join(test_case(container, outcome) for outcome in outcomes)
    states = [outcome.answer.state for outcome in outcomes]
    counts = f'tests="{len(states)}" failures="{states.count("failed")}" skipped="{states.count("skipped")}"'
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<testsuites><testsuite name={quoteattr(container)} {counts}>\n{cases}</testsuite></testsuites>\n"
    )


def test_case(container: str, outcome: JobOutcome) -> str:
    """One package."""
    package, answer, seconds, *_ = outcome
    name = f"{package.name}@{package.version} /{package.hash[:LETTERS]}"
    told = f"message={quoteattr(answer.because)}"
    inner = ""
    if answer.state == "skipped":
        inner = f"<skipped {told}/>"
    elif answer.state == "failed":
        inner = f"<failure {told}>{escape(end_of_log(package))}</failure>"
    elif answer.because:
        inner = f"<system-out>{escape(answer.because)}</system-out>"
    return (
        f'<testcase classname={quoteattr(container)} name={quoteattr(name)} time="{seconds:.1f}">{inner}</testcase>\n'
    )


def end_of_log(package: JobPackage) -> str:
    """The last lines of what the package's build said, as far as Spack kept it."""
    root = os.environ.get("SPACK_JOB_LOG_DIR") or f"{os.environ.get('SPACK_ARTIFACTS_ROOT', '')}/logs"
    logs = sorted((Path(root) / package.folder).glob("**/spack-build-out.txt*"))
    if not logs:
        return ""
    lines: deque[bytes] = deque(maxlen=SHOWN_LINES)
    try:
        with gzip.open(logs[0]) if logs[0].suffix == ".gz" else logs[0].open("rb") as log:
            lines.extend(iter(lambda: log.readline(LONGEST_LINE), b""))
    except (OSError, EOFError, zlib.error) as error:
        # What was read before is kept: a build that was killed leaves half a file.
        lines.append(f"[{logs[0].name} cannot be read to its end: {error}]".encode())
    text = "\n".join(line.decode("utf-8", "replace").rstrip("\r\n") for line in lines)
    return NO_TEXT.sub("", text)


def say(text: str) -> None:
    """A line of the log, before whatever programs say next."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:], dict(os.environ)))
