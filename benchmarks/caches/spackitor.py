"""Build caches: requests and seconds against a real S3 server, and against what Spack itself offers.

    python -m benchmarks.caches.spackitor s3 [--specs 20000] [--endpoint-url URL]
    python -m benchmarks.caches.spackitor spack --spack-root DIR [--specs 1000] [--endpoint-url URL]
    python -m benchmarks.caches.spackitor planning [--specs 33000] [--removed 31000]
    python -m benchmarks.caches.spackitor files [--specs 200000] [--removed 31000]

Without an endpoint, moto's server is started, for `planning` Ceph's radosgw, which takes root; for another one the keys
are taken from the environment. All caches are made up: each package needs up to five others, every spec has its own
archive. What a plain listing takes is measured beside everything, and processor time beside seconds, which say little
on a machine that does other things as well.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.integration.ceph import KEYS, ceph_server
from tests.unit.spackitor.mirrors import LayoutName, Made, MadeMirror, dag_hash

BLOCK, NEEDS = 50, 5
ROUNDS = 5
PLAIN = """
import sys
import boto3

pages = boto3.client("s3").get_paginator("list_objects_v2").paginate(Bucket=sys.argv[1])
print(sum(len(page.get("Contents", ())) for page in pages))
"""
"""What everybody who wants to know what is in a bucket has to wait for, in a process of its own."""
KEPT = 0.9
PORT = 5987


def specs_of(count: int) -> list[Made]:
    """Packages in blocks; within a block each needs some of those before it. A third is 60 days old, the rest 10."""
    chance = random.Random(1)
    made = []
    for number in range(count):
        before = [f"pkg-{other}" for other in range(number - number % BLOCK, number)]
        needs = chance.sample(before, min(len(before), chance.randrange(NEEDS + 1)))
        made.append(Made(f"pkg-{number}", needs, age=60.0 if (number // BLOCK) % 3 == 0 else 10.0, size=200))
    return made


@contextmanager
def server(endpoint: str | None) -> Iterator[str]:
    """An S3 server: the one that is named, or moto's in a process of its own."""
    if endpoint:
        yield endpoint
        return
    log = subprocess.DEVNULL
    process = subprocess.Popen([sys.executable, "-m", "moto.server", "-p", str(PORT)], stdout=log, stderr=log)
    try:
        time.sleep(4)
        yield f"http://127.0.0.1:{PORT}"
    finally:
        process.terminate()
        process.wait()


def environment(endpoint: str) -> dict[str, str]:
    """What commands need to talk to the server."""
    keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}
    return {**keys, **os.environ, "AWS_ENDPOINT_URL": endpoint, "S3_ENDPOINT_URL": endpoint}


def client_of(variables: dict[str, str], endpoint: str) -> Any:
    """A client for filling buckets."""
    from foundation.stores.s3_client import s3_client

    os.environ.update(variables)
    return s3_client(endpoint, workers=16)


def upload(client: Any, bucket: str, folder: Path) -> int:
    """Put all files of a folder into a new bucket, the index last; returns their number."""
    client.create_bucket(Bucket=bucket)
    files = sorted((path for path in folder.rglob("*") if path.is_file()), key=lambda path: "index" in path.name)

    def put(path: Path) -> None:
        client.put_object(Bucket=bucket, Key=path.relative_to(folder).as_posix(), Body=path.read_bytes())

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(put, (path for path in files if "index" not in path.name)))
    time.sleep(1.1)  # the resolution of the time in listings
    for path in files:
        if "index" in path.name:
            put(path)
    time.sleep(1.1)
    return len(files)


def timed(argv: list[str], variables: dict[str, str]) -> tuple[float, str]:
    """Seconds and stdout of a program."""
    seconds, _, out = measured(argv, variables)
    return seconds, out


def measured(argv: list[str], variables: dict[str, str]) -> tuple[float, float, str]:
    """Seconds, seconds of processor time and stdout of a program."""
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(argv, env=variables, capture_output=True, text=True, check=False)
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{' '.join(argv)} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, cpu, done.stdout


def listed(mirror: str, variables: dict[str, str]) -> tuple[float, float]:
    """Seconds and processor time of a plain listing."""
    return measured([sys.executable, "-c", PLAIN, mirror.removeprefix("s3://")], variables)[:2]


def cleaned(mirror: str, keep: Path, variables: dict[str, str], *more: str) -> tuple[float, dict[str, Any]]:
    """Clean a mirror in a process of its own; seconds, and what the command says as JSON."""
    argv = [sys.executable, "-m", "spackitor", "-q", "clean", mirror, "--keep-file", str(keep), "--max-age", "0"]
    seconds, out = timed([*argv, "--min-age", "0", "--max-delete", "100", "--json", *more], variables)
    return seconds, json.loads(out)


def keep_list(specs: list[Made], path: Path, share: float = KEPT) -> Path:
    """A keep list of whole blocks, with everything that they need."""
    count = int(len(specs) * share) // BLOCK * BLOCK
    path.write_text("".join(f"{dag_hash(spec.name)}\n" for spec in specs[:count]))
    return path


def print_run(title: str, seconds: float, said: dict[str, Any]) -> None:
    """One line for a run."""
    requests = ", ".join(f"{count} {kind}" for kind, count in sorted(said["requests"].items()))
    print(f"{title}: {seconds:.1f} s, {len(said['plan']['removals'])} specs removed; {requests}", flush=True)


def s3(count: int, endpoint: str | None) -> None:
    """Both layouts: what planning and cleaning ask for, and how long it takes to take it back."""
    specs = specs_of(count)
    with server(endpoint) as url, tempfile.TemporaryDirectory() as folder:
        variables = environment(url)
        client = client_of(variables, url)
        keep = keep_list(specs, Path(folder) / "keep")
        layouts: tuple[LayoutName, ...] = ("v2", "v3")
        for layout in layouts:
            root = Path(folder) / layout
            MadeMirror(root, layout, specs, now=time.time())
            bucket = f"bench-{layout}-{os.getpid()}"
            objects = upload(client, bucket, root)
            mirror = f"s3://{bucket}"
            print(f"{layout}: {count} specs, {objects} objects; one HEAD for each would be {count} requests a pass")
            print_run("  planning", *cleaned(mirror, keep, variables, "--dry-run"))
            print_run("  cleaning", *cleaned(mirror, keep, variables))
            print_run("  again", *cleaned(mirror, keep, variables))
            seconds, out = timed([sys.executable, "-m", "spackitor", "-q", "restore", mirror, "--json"], variables)
            print(f"  restoring: {seconds:.1f} s, {json.loads(out)['restored']} specs", flush=True)


def spack(root: Path, count: int, endpoint: str | None) -> None:
    """Side by side with `spack buildcache prune --keeplist` and `update-index`, on two mirrors of the same content."""
    specs = specs_of(count)
    with server(endpoint) as url, tempfile.TemporaryDirectory() as folder:
        variables = environment(url)
        client = client_of(variables, url)
        made = Path(folder) / "v3"
        MadeMirror(made, "v3", specs, now=time.time())
        mirrors = [f"s3://bench-{name}-{os.getpid()}" for name in ("spack", "ours")]
        for mirror in mirrors:
            upload(client, mirror.removeprefix("s3://"), made)
        # Spack hands its work over to a program called `aws` where there is one.
        quiet = {
            **variables,
            "PATH": f"{root}/bin:/usr/bin:/bin",
            "SPACK_DISABLE_LOCAL_CONFIG": "1",
            "SPACK_USER_CACHE_PATH": f"{folder}/spack-cache",
        }
        program = str(root / "bin" / "spack")
        for share, title in ((KEPT, "first run"), (KEPT, "again"), (KEPT - 0.1, "next run")):
            keep = keep_list(specs, Path(folder) / "keep", share)
            pruned, _ = timed([program, "buildcache", "prune", "--keeplist", str(keep), mirrors[0]], quiet)
            indexed, _ = timed([program, "buildcache", "update-index", mirrors[0]], quiet)
            plain, _ = listed(mirrors[1], variables)
            seconds, said = cleaned(mirrors[1], keep, variables, "--no-quarantine")
            print(f"{title}: a plain listing takes {plain:.2f} s, spackitor {seconds / plain:.2f} times that")
            print(
                f"{title}: spack {pruned:.1f} s + {indexed:.1f} s; {(pruned + indexed) / seconds:.1f} times as long as"
            )
            print_run("  spackitor", seconds, said)


def planning(count: int, removed: int, endpoint: str | None) -> None:
    """A large bucket: planning against a plain listing, then most of it removed and brought back."""
    specs = specs_of(count)
    with radosgw(endpoint) as url, tempfile.TemporaryDirectory() as folder:
        variables = environment(url)
        client = client_of(variables, url)
        layouts: tuple[LayoutName, ...] = ("v2", "v3")
        for layout in layouts:
            root = Path(folder) / layout
            MadeMirror(root, layout, specs, now=time.time())
            bucket = f"bench-{layout}-{os.getpid()}"
            mirror = f"s3://{bucket}"
            print(f"{layout}: {count} specs, {upload(client, bucket, root)} objects", flush=True)
            keep = keep_list(specs, Path(folder) / "keep", 1.0)
            if layout == "v3":
                print_run("  planning, nothing known", *cleaned(mirror, keep, variables, "--dry-run"))
                timed([sys.executable, "-m", "spackitor", "-q", "index", mirror], variables)
            pairs = [(listed(mirror, variables), planned(mirror, keep, variables)) for _ in range(ROUNDS)]
            for what, index in (("seconds", 0), ("processor time", 1)):
                plain, ours = ([one[index] for one in some] for some in zip(*pairs, strict=True))
                ratio = statistics.median(mine / other for mine, other in zip(ours, plain, strict=True))
                said = f"{statistics.median(ours):.2f}; a plain listing {statistics.median(plain):.2f}"
                print(f"  planning, {what}: {said}; {ratio:.2f} times", flush=True)
            remove_and_restore(mirror, keep_list(specs, Path(folder) / "keep", 1 - removed / count), variables)


def remove_and_restore(mirror: str, keep: Path, variables: dict[str, str]) -> None:
    """Take away what a keep list does not name, and take that back."""
    print_run("  removing", *cleaned(mirror, keep, variables))
    argv = [sys.executable, "-m", "spackitor", "-q", "restore", mirror, "--json"]
    seconds, cpu, out = measured(argv, variables)
    print(f"  restoring: {seconds:.1f} s ({cpu:.1f} s of CPU), {json.loads(out)['restored']} specs", flush=True)


def planned(mirror: str, keep: Path, variables: dict[str, str]) -> tuple[float, float]:
    """Seconds and processor time of a plan."""
    argv = [sys.executable, "-m", "spackitor", "-q", "clean", mirror, "--keep-file", str(keep), "--max-age", "0"]
    return measured([*argv, "--min-age", "0", "--max-delete", "100", "--json", "--dry-run"], variables)[:2]


@contextmanager
def radosgw(endpoint: str | None) -> Iterator[str]:
    """The server that is named, or Ceph's."""
    if endpoint:
        yield endpoint
        return
    with tempfile.TemporaryDirectory() as folder, ceph_server(Path(folder)) as url:
        os.environ.update(KEYS)
        yield url


def files(count: int, removed: int) -> None:
    """On a file system: CPU seconds and memory of planning, then most of it removed and brought back."""
    specs = specs_of(count)
    layouts: tuple[LayoutName, ...] = ("v2", "v3")
    for layout in layouts:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder) / "mirror"
            MadeMirror(root, layout, specs, now=time.time())
            argv = [sys.executable, "-m", "spackitor", "-q", "clean", str(root), "--max-age", "30", "--dry-run"]
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            seconds, _ = timed([*argv, "--max-delete", "100"], dict(os.environ))
            used = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
            print(
                f"{layout}, {count} specs: {seconds:.1f} s, {cpu:.1f} s of CPU, {used.ru_maxrss / 1024:.0f} MiB",
                flush=True,
            )
            keep = keep_list(specs, Path(folder) / "keep", max(1 - removed / count, 0))
            remove_and_restore(str(root), keep, dict(os.environ))


def main() -> None:
    """Run one of the benchmarks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["s3", "spack", "planning", "files"])
    parser.add_argument("--specs", type=int)
    parser.add_argument("--removed", type=int, default=31000)
    parser.add_argument("--endpoint-url")
    parser.add_argument("--spack-root", type=Path)
    options = parser.parse_args()
    if options.what == "s3":
        s3(options.specs or 20000, options.endpoint_url)
    elif options.what == "planning":
        planning(options.specs or 33000, options.removed, options.endpoint_url)
    elif options.what == "spack":
        if not options.spack_root:
            parser.error("--spack-root is needed")
        spack(options.spack_root, options.specs or 1000, options.endpoint_url)
    else:
        files(options.specs or 200000, options.removed)


if __name__ == "__main__":
    main()
