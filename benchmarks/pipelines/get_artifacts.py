"""Fetching artifacts: `python -m benchmarks.pipelines.get_artifacts [--no-large]`.

Prints the figures of docs/performance.md: many archives against `curl --parallel` on the same addresses, by the clock
and in processor time, and the memory that one large archive takes. The server is the tests' own and runs in a process
of its own.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from get_artifacts.download import WORKERS
from tests.fakes.gitlab import FakeGitLab
from tests.fakes.http import Request

ARTIFACTS = 200
LARGE = 2 << 30
MIB = 1 << 20
ROUNDS = 7
DELAYS = (0.0, 0.05)
START = "start of ga"


def serve(folder: Path, delay: float, connection: Connection) -> None:
    """A GitLab with many archives of 1 MB in one child pipeline and a large one in another, until told to end."""
    with FakeGitLab() as gitlab:
        gitlab.before_answer = _slowness(delay)
        project = gitlab.project()
        parent = project.pipeline()
        many = parent.child("many")
        jobs = [many.job(f"job {path.stem}", archive=path) for path in sorted(folder.glob("small_*.zip"))]
        urls = [f"{gitlab.api_url}/projects/{project.id}/jobs/{job.id}/artifacts" for job in jobs]
        parent.child("large").job("large job", archive=folder / "large.zip")
        environment = {"CI_API_V4_URL": gitlab.api_url, "CI_PROJECT_ID": str(project.id)}
        environment |= {"CI_PIPELINE_ID": str(parent.id), "CI_JOB_TOKEN": gitlab.job_token}
        connection.send((environment, urls))
        connection.recv()


def _slowness(delay: float) -> Callable[[Request], None]:
    return lambda _: time.sleep(delay)


def write_archives(folder: Path) -> None:
    """Archives of random bytes, of which deflate makes nothing smaller, and one of 2 GiB, if that is used."""
    chance = random.Random(0)
    for number in range(ARTIFACTS):
        with zipfile.ZipFile(folder / f"small_{number:03}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("file", chance.randbytes(MIB))
    block = chance.randbytes(MIB)
    with (
        zipfile.ZipFile(folder / "large.zip", "w", zipfile.ZIP_STORED) as large_archive,
        large_archive.open("large/file", "w", force_zip64=True) as stream,
    ):
        for _ in range(1 if "--no-large" in sys.argv else LARGE // MIB):
            stream.write(block)


def run(command: list[str], environment: dict[str, str], folder: Path) -> tuple[float, float, float]:
    """Seconds, seconds of processor time, and MiB at most of a command."""
    start = time.perf_counter()
    process = subprocess.Popen(command, env={**os.environ, **environment}, cwd=folder, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def curl(folder: Path, urls: list[str], token: str, parallel: int) -> list[str]:
    """The command that fetches all addresses into a folder."""
    lines = [f'header = "JOB-TOKEN: {token}"', "silent", "fail", "parallel", "no-progress-meter"]
    lines += [f'url = "{url}"\noutput = "{folder}/{number}.zip"' for number, url in enumerate(urls)]
    config = folder / "curl.conf"
    config.write_text("\n".join(lines))
    return ["curl", "--parallel-max", str(parallel), "--config", str(config)]


def many(folder: Path, delay: float) -> None:
    """All small archives with `ga` and with curl, in turns."""
    command = [
        sys.executable,
        "-m",
        "get_artifacts",
        "-q",
        "--bridge",
        "many",
        "--job",
        "*",
        "--no-unpack",
        "--out-dir",
    ]
    import_only = [sys.executable, "-c", "import get_artifacts.__main__, get_artifacts.collection, gitlab.v4.objects"]
    times: dict[str, list[tuple[float, float]]] = {}
    with _server(folder, delay) as (environment, urls):
        for _ in range(ROUNDS):
            for parallel in (WORKERS, 50):
                with tempfile.TemporaryDirectory(dir=folder) as out:
                    other = curl(Path(out), urls, environment["CI_JOB_TOKEN"], parallel)
                    times.setdefault(f"curl, {parallel} at once", []).append(run(other, {}, folder)[:2])
            times.setdefault(START, []).append(run(import_only, {}, folder)[:2])
            with tempfile.TemporaryDirectory(dir=folder) as out:
                times.setdefault("ga", []).append(run([*command, out], environment, folder)[:2])
                if len(list(Path(out).glob("*.zip"))) != ARTIFACTS:
                    raise RuntimeError("not everything came")
    print(f"{ARTIFACTS} archives of 1 MiB, {delay * 1000:g} ms for each answer (median of {ROUNDS}):")
    for what, index in (("by the clock", 0), ("processor time", 1)):
        compare(what, {name: [one[index] for one in values] for name, values in times.items()})


def compare(what: str, times: Mapping[str, Sequence[float]]) -> None:
    """A line for each program; what ran in the same turn is compared."""
    for name, seconds in times.items():
        ratios = [ga / other for ga, other in zip(times["ga"], times[name], strict=True)]
        later = [(ga - start) / other for ga, start, other in zip(times["ga"], times[START], times[name], strict=True)]
        said = f"ga takes {statistics.median(ratios):.2f} times that, without its start {statistics.median(later):.2f}"
        print(f"  {what}, {name:18} {statistics.median(seconds):.2f} s" + (f"; {said}" if "curl" in name else ""))


def large(folder: Path) -> None:
    """One archive of 2 GiB, kept and unpacked."""
    ga = [sys.executable, "-m", "get_artifacts", "-q", "--bridge", "large", "--job", "*", "--max-unpacked", "4096"]
    with _server(folder, 0.0) as (environment, _):
        for name, options in {"kept": ["--no-unpack"], "unpacked": []}.items():
            out = folder / f"large-{name}"
            seconds, _, memory = run([*ga, *options, "--out-dir", str(out)], environment, folder)
            print(f"one archive of 2 GiB, {name}: {seconds:.1f} s, {memory:.0f} MiB (aim: 120 MiB)")


class _server:  # noqa: N801 - used like a function
    """The server in a process of its own; gives its variables and the addresses of the small archives."""

    def __init__(self, folder: Path, delay: float) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, inner = context.Pipe()
        self._process = context.Process(target=serve, args=(folder, delay, inner))

    def __enter__(self) -> tuple[dict[str, str], list[str]]:
        self._process.start()
        environment, urls = self._connection.recv()
        return environment, urls

    def __exit__(self, *_: object) -> None:
        self._connection.send(None)
        self._process.join()


def main() -> None:
    """All measurements."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_archives(folder)
        for delay in DELAYS:
            many(folder, delay)
        if "--no-large" not in sys.argv:
            large(folder)


if __name__ == "__main__":
    main()
