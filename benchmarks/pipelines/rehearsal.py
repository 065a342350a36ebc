"""`jc rehearse` on the shipped definitions: `python -m benchmarks.pipelines.rehearsal`.

In the same run: what Python takes to start and to import what the command needs.
"""

from __future__ import annotations

import subprocess
import sys
import time

from tests.samples import REPOSITORY

RUNS = 5


def seconds(*command: str) -> float:
    """The quickest of several runs."""
    best = float("inf")
    for _ in range(RUNS):
        start = time.perf_counter()
        subprocess.run([sys.executable, *command], cwd=REPOSITORY, check=True, stdout=subprocess.DEVNULL)
        best = min(best, time.perf_counter() - start)
    return best


def main() -> None:
    """Measure, and print a line."""
    imports = seconds("-c", "import job_creator.rehearsal.played")
    whole = seconds("-m", "job_creator", "rehearse")
    print(f"jc rehearse: {whole:.2f} s, of which {imports:.2f} s to start ({whole / imports:.1f} times that)")


if __name__ == "__main__":
    main()
