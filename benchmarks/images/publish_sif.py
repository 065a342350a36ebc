"""`jc publish-sif` against `s3cmd put` of the same file on the same server: time, seconds of CPU, and memory of each.

    python -m benchmarks.images.publish_sif [--size MIB] [--runs N] [--endpoint URL]

Without an endpoint the server is moto's, on loopback; at another server the keys come from the environment, as usual.
`publish-sif` uploads, verifies, copies on the server, verifies and removes the temporary object; `s3cmd put` uploads.
"""

from __future__ import annotations

import argparse
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import boto3

from job_creator.publishing.record import PublicationRecord
from job_creator.publishing.sif_file import LAUNCHER, MAGIC
from tests.integration.s3_server import KEYS

BUCKET = "benchmark-of-publishing"
MIB = 1 << 20


class Taken(NamedTuple):
    """What a command took: seconds by the clock and of CPU, which a busy machine changes less, and MiB of memory."""

    seconds: float
    cpu: float
    memory: float


def measured(command: Sequence[str]) -> Taken:
    """What a command takes."""
    start = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"{command[0]} failed with {child.returncode}")
    return Taken(time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


@contextmanager
def server() -> Iterator[str]:
    """The URL of a server in a process of its own; the memory of a command counts that of the process it came from."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], stderr=subprocess.DEVNULL
    )
    try:
        while socket.socket().connect_ex(("127.0.0.1", port)):
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def write_random(path: Path, size: int) -> None:
    """A file of so many MiB that nothing can compress."""
    chance = random.Random(0)
    with path.open("wb") as stream:
        stream.write(b"\0" * LAUNCHER + MAGIC)
        for _ in range(size):
            stream.write(chance.randbytes(MIB))


def write_configuration(path: Path, endpoint: str) -> None:
    """What s3cmd wants to know; its keys come from the environment."""
    host = urlsplit(endpoint).netloc
    path.write_text(
        f"[default]\nhost_base = {host}\nhost_bucket = {host}\nuse_https = False\nbucket_location = us-east-1\n"
        f"access_key = {os.environ['AWS_ACCESS_KEY_ID']}\nsecret_key = {os.environ['AWS_SECRET_ACCESS_KEY']}\n"
    )


def compare(folder: Path, endpoint: str, runs: int) -> None:
    """Run both in turn, and print the best of each."""
    client = boto3.client("s3", endpoint_url=endpoint)
    client.create_bucket(Bucket=BUCKET)
    file, record, configuration = folder / "file.sif", folder / "record.json", folder / "s3cfg"
    release = PublicationRecord("benchmark", "1", "1", "amd64", "refs/heads/main", True, "0" * 64)
    record.write_text(release.to_json())
    branch = folder / "branch.json"
    branch.write_text(replace(release, tag="1__x", ref="refs/heads/x", is_release=False).to_json())
    write_configuration(configuration, endpoint)
    publish = [sys.executable, "-m", "job_creator", "publish-sif", str(file), "--record", str(record)]
    publish += ["--to", f"s3://{BUCKET}/published", "--endpoint-url", endpoint]
    copy = [one if one != str(file) else f"s3://{BUCKET}/published/benchmark__1.sif" for one in publish]
    copy[copy.index(str(record))] = str(branch)
    put = ["s3cmd", "-q", "-c", str(configuration), "put", str(file), f"s3://{BUCKET}/put/file.sif"]
    before = folder / "before.json"
    before.write_text(replace(release, tag="0").to_json())
    # As it is mostly: an older version is published, which says what this server makes of ETags.
    measured([one if one != str(record) else str(before) for one in publish])
    best: dict[str, Taken] = {}
    for _ in range(runs):
        for name, command in (
            ("jc publish-sif", publish),
            ("jc publish-sif, a copy for another branch", copy),
            ("s3cmd put", put),
        ):
            found = measured(command)
            # The best of each, whichever run it was.
            best[name] = Taken(*map(min, found, best.get(name, found)))
            print(f"  {name}: {found.seconds:.1f} s, {found.cpu:.1f} s of CPU, {found.memory:.0f} MiB", flush=True)
        for key in ("published/benchmark__1.sif", "published/benchmark__1__x.sif", "put/file.sif"):
            client.delete_object(Bucket=BUCKET, Key=key)
    own, other = best["jc publish-sif"], best["s3cmd put"]
    print(f"{own.seconds / other.seconds:.2f} of the time of s3cmd (aim: 1), {own.cpu / other.cpu:.2f} of its CPU")
    print(f"{own.memory:.0f} MiB (aim: 200 MiB)")


def main() -> None:
    """Make the file and measure."""
    parser = argparse.ArgumentParser(description="jc publish-sif against s3cmd put")
    parser.add_argument("--size", type=int, default=2048, metavar="MIB")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--endpoint")
    arguments = parser.parse_args()
    if not arguments.endpoint:
        os.environ.update(KEYS)
    with tempfile.TemporaryDirectory() as name:
        write_random(Path(name) / "file.sif", arguments.size)
        with nullcontext(arguments.endpoint) if arguments.endpoint else server() as endpoint:
            print(f"{arguments.size} MiB, best of {arguments.runs}")
            compare(Path(name), endpoint, arguments.runs)


if __name__ == "__main__":
    main()
