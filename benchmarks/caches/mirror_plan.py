"""`jc mirror plan` for lockfiles: how long it takes when Spack is asked, and when everything was asked before.

    python -m benchmarks.caches.mirror_plan [--spack PROGRAM] LOCK [LOCK ...]

Spack is the one on PATH, or PROGRAM. What the internet says of sizes is not asked for. Times are those of whole
commands; the second is the best of five.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

RUNS = 5


def plan(locks: list[str], program: str, folder: Path) -> tuple[float, dict[str, int]]:
    """Seconds, and how many items of each kind there are."""
    argv = [sys.executable, "-m", "job_creator", "-q", "mirror", "plan", *locks, "--to", str(folder / "mirror")]
    argv += ["--spack", program, "--cache-dir", str(folder / "cache"), "--offline", "--json"]
    start = time.perf_counter()
    done = subprocess.run(argv, capture_output=True, check=False)
    seconds = time.perf_counter() - start
    if done.returncode not in (0, 8):
        raise SystemExit(done.stderr.decode())
    found = json.loads(done.stdout)
    return seconds, {"package": len(found["packages"]), **Counter(item["kind"] for item in found["items"])}


def main(arguments: list[str]) -> None:
    """Print one line."""
    program = "spack"
    if arguments[:1] == ["--spack"]:
        program, arguments = arguments[1], arguments[2:]
    if not arguments:
        raise SystemExit(__doc__)
    with tempfile.TemporaryDirectory() as name:
        first, counts = plan(arguments, program, Path(name))
        again = min(plan(arguments, program, Path(name))[0] for _ in range(RUNS))
    kinds = ", ".join(f"{count} of kind {kind}" for kind, count in counts.items())
    print(f"{len(arguments)} lockfiles, {kinds}: {first:.1f} s with Spack, {again:.2f} s again")


if __name__ == "__main__":
    main(sys.argv[1:])
