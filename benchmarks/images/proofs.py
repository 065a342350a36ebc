"""What a proof, a bill of materials and an audit of a large container take.

    python -m benchmarks.images.proofs verify [--size MIB] [--runs N]
    python -m benchmarks.images.proofs sbom LOCKFILE... [--recipes DIR] [--runs N]
    python -m benchmarks.images.proofs audit [--size MIB] [--target NAME] [--runs N] FILE...

`verify` makes a SIF file of random bytes behind a small file system, as `sign <name> sif file for <arch>` leaves it,
and compares `jc verify` with `sha256sum` of the same file, alternately, so that the load of the machine is the same for
both. `audit` fills a container with the given ELF files, each under several names, until it has that size.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from tests.integration.recorded_cache import lockfile
from tests.integration.sif_world import file_system, sif_file, signed_sif
from tests.integration.signing_keys import key_pair
from tests.unit.publishing.records import RELEASE

MIB = 1 << 20
HASH = "abcdefghijklmnopqrstuvwxyz234567"


def seconds(command: Sequence[str | Path]) -> tuple[float, float]:
    """How long a program takes, start included: by the clock, and of CPU."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)
    took, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def middle(times: Sequence[tuple[float, float]]) -> dict[str, float]:
    """The medians."""
    clock, cpu = ([*some] for some in zip(*times, strict=True))
    return {"seconds": round(median(clock), 2), "of CPU": round(median(cpu), 2)}


def jc(*words: str | Path) -> list[str | Path]:
    """The command line of `jc`."""
    return [sys.executable, "-m", "job_creator", *words]


def verify(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """`jc verify` beside its record and alone, and `sha256sum`."""
    pair = key_pair()
    made = signed_sif(folder, pair, {}, lockfile(), RELEASE, padding=arguments.size * MIB)
    key = folder / "site.asc"
    key.write_bytes(pair.public)
    alone = folder / "alone.sif"
    alone.hardlink_to(made.path)
    found: dict[str, list[tuple[float, float]]] = {"sha256sum": [], "beside": [], "alone": []}
    for _ in range(arguments.runs):
        found["sha256sum"].append(seconds(["sha256sum", made.path]))
        found["beside"].append(seconds(jc("verify", made.path, "--key", key)))
        found["alone"].append(seconds(jc("verify", alone, "--key", key)))
    return {name: middle(times) for name, times in found.items()}


def sbom(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """`jc sbom make` of lockfiles, and how many packages have licenses."""
    found: dict[str, Any] = {}
    recipes = [word for one in arguments.recipes for word in ("--recipes", one)]
    for lock in arguments.files:
        command = jc("sbom", "make", lock, *recipes, "-o", folder)
        found[str(lock)] = middle([seconds(command) for _ in range(arguments.runs)])
    listed = [one for path in folder.glob("*.cdx.json") for one in json.loads(path.read_text())["components"]]
    found["packages"], found["licensed"] = len(listed), sum("licenses" in one for one in listed)
    return found


def audit(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """`jc audit` of a container with the given files."""
    root, size, number = folder / "root", 0, 0
    prefix = root / "opt" / "software" / f"app-1.0-{HASH}" / "lib"
    prefix.mkdir(parents=True)
    contents = [(path.name, path.read_bytes()) for path in arguments.files]
    while size < arguments.size * MIB:
        name, content = contents[number % len(contents)]
        (prefix / f"{number}-{name}").write_bytes(content)
        size, number = size + len(content), number + 1
    node = {"name": "app", "version": "1.0", "hash": HASH, "arch": {"target": arguments.target}}
    meta = {"file-type": "spack-lockfile", "lockfile-version": 6, "specfile-version": 5}
    lock = {"_meta": meta, "roots": [{"hash": HASH, "spec": "app"}], "concrete_specs": {HASH: node}}
    (root / "opt" / "spack-environment").mkdir()
    (root / "opt" / "spack-environment" / "spack.lock").write_text(json.dumps(lock))
    path = sif_file(folder / "x.sif", file_system(root, folder / "x.squashfs"))
    times = [seconds(jc("audit", path, "--report-only")) for _ in range(arguments.runs)]
    sizes = {"files": number, "MiB": round(size / MIB), "MiB packed": round(path.stat().st_size / MIB)}
    return {**sizes, **middle(times)}


def main() -> None:
    """Measure one of the three."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["verify", "sbom", "audit"])
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--target", default="x86_64_v3")
    parser.add_argument("--recipes", action="append", default=[])
    arguments = parser.parse_intermixed_args()
    measures: dict[str, Callable[[Path, argparse.Namespace], dict[str, Any]]] = {
        "verify": verify,
        "sbom": sbom,
        "audit": audit,
    }
    with tempfile.TemporaryDirectory() as name:
        print(json.dumps(measures[arguments.what](Path(name), arguments), indent=1))


if __name__ == "__main__":
    main()
