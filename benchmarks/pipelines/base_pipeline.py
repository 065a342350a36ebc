"""Start-up, generation and registry look-ups: `make benchmark`.

Prints the figures of docs/performance.md. Every figure comes with one of the same run to compare it with, because
machines are noisy: start-up against `python -c pass`, generation against reading the same files with the parser in
Python, look-ups against asking one after the other.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from ruamel.yaml import YAML

from foundation.registries.images import RegistryClient
from foundation.registries.published import Query
from tests.samples import write_repository

DEFINITIONS = 1000
LOOK_UPS = 60
DELAY_SECONDS = 0.2

SITE = """\
spack:
  ref: v1.1.0
  packages: {repository: https://git.example.org/spack-packages.git, ref: v2025.11.0}
architectures:
  amd64: {runner_tags: [x], target: x86_64_v3, compiler: gcc@13, build_cache: {bucket: cache-amd64}}
  arm64: {runner_tags: [y], compiler: gcc@13, build_cache: {bucket: cache-arm64}}
"""
DEFINITION = """\
spack:
  specs:
  - hdf5@1.14 +mpi +fortran
  - netcdf-c +mpi
  packages:
    all: {providers: {mpi: [mpich]}}
    hdf5: {require: "@1.14"}
"""


def seconds(run: Callable[[], object]) -> float:
    """How long a call takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def start_up() -> None:
    """`jc --help` against an interpreter that does nothing."""
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "jc --help": [sys.executable, "-m", "job_creator", "--help"],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(15):
        for name, command in commands.items():
            times[name].append(seconds(partial(subprocess.run, command, check=True, capture_output=True)))
    medians = {name: statistics.median(values) for name, values in times.items()}
    more = medians["jc --help"] - medians["python -c pass"]
    print(f"start-up: jc --help {medians['jc --help']:.3f} s, python -c pass {medians['python -c pass']:.3f} s")
    print(f"          {more:.3f} s more (aim: 0.25 s)")


def generation() -> None:
    """`jc create-jobs` for many definitions on both architectures."""
    with tempfile.TemporaryDirectory() as folder:
        files = {
            f"container_definitions/{architecture}/c{number:04}.yaml": DEFINITION
            for architecture in ("amd64", "arm64")
            for number in range(DEFINITIONS)
        }
        root = write_repository(Path(folder), files, SITE)
        command = [sys.executable, "-m", "job_creator", "-q", "-C", str(root), "create-jobs", "--offline"]
        command += ["-o", str(root / "out" / "generated_pipeline.yaml")]
        taken = seconds(lambda: subprocess.run(command, check=True, capture_output=True))
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        parser = YAML(typ="safe", pure=True)
        reading = seconds(lambda: [parser.load((root / name).read_text()) for name in files])
        out = list((root / "out").iterdir())
        print(f"create-jobs: {DEFINITIONS} definitions on each of 2 architectures, {len(out)} files written")
        print(f"          {taken:.2f} s (aim: 4 s), {memory:.0f} MiB (aim: 200 MiB)")
        print(f"          {taken / reading:.2f} times what reading them takes the parser in Python ({reading:.2f} s)")


class SlowRegistry(BaseHTTPRequestHandler):
    """Answers like a registry that holds one image under every name, after a while."""

    protocol_version = "HTTP/1.1"
    delay = DELAY_SECONDS
    """Seconds before each answer."""

    def do_GET(self) -> None:
        """Answer, late."""
        time.sleep(self.delay)
        configuration = json.dumps({"architecture": "amd64", "config": {"Labels": {"a": "1"}}}).encode()
        digest = f"sha256:{hashlib.sha256(configuration).hexdigest()}"
        manifest = json.dumps({"schemaVersion": 2, "config": {"digest": digest}}).encode()
        body = manifest if "/manifests/" in self.path else configuration
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """Takes many connections at once."""

    request_queue_size = 128
    daemon_threads = True


def look_ups() -> None:
    """Many questions to a registry that takes its time; each is one for the manifest and one for the labels."""
    with Server(("127.0.0.1", 0), SlowRegistry) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        host = f"127.0.0.1:{server.server_port}"
        queries = [Query(f"{host}/group/image{number}:tag", "amd64") for number in range(LOOK_UPS)]
        taken = seconds(lambda: RegistryClient().look_up(queries))
        one = seconds(lambda: RegistryClient().look_up(queries[:1]))
        server.shutdown()
    print(f"look-ups: {LOOK_UPS} images, {DELAY_SECONDS:g} s for each of two answers: {taken:.2f} s (aim: 2 s)")
    print(f"          {taken / one:.2f} times what one alone takes ({one:.2f} s)")


def main() -> None:
    """All measurements, with the machine's description."""
    print(f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores")
    start_up()
    generation()
    look_ups()


if __name__ == "__main__":
    main()
