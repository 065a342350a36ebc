"""Deleting a large folder: `python -m benchmarks.caches.delete_tree [FOLDER]`, which works in FOLDER.

Prints the figures of docs/performance.md: `spackitor delete-tree`, and its look before it, against `rm -rf`.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FOLDERS, FILES = 400, 50
ROUNDS = 3


def grow(root: Path) -> Path:
    """A folder as builds leave them: many small files, several levels deep."""
    for number in range(FOLDERS):
        folder = root / str(number % 20) / str(number % 400) / str(number)
        folder.mkdir(parents=True)
        for name in range(FILES):
            (folder / str(name)).write_bytes(b"x" * 100)
    return root


def seconds(command: list[str]) -> float:
    """How long a command takes."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    """Both, in turns."""
    own = [sys.executable, "-m", "spackitor", "delete-tree"]
    commands = {"rm -rf": ["rm", "-rf"], "delete-tree": own, "delete-tree, 1 worker": [*own, "--workers", "1"]}
    times: dict[str, list[float]] = {name: [] for name in commands}
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as name:
        for _ in range(ROUNDS):
            for what, command in commands.items():
                tree = grow(Path(name) / "tree")
                times[what].append(seconds([*command, str(tree)]))
    least = statistics.median(times["rm -rf"])
    print(f"{FOLDERS * FILES:,} files in {FOLDERS:,} folders (median of {ROUNDS}):")
    for what, found in times.items():
        print(f"  {what:22} {statistics.median(found):.2f} s, {statistics.median(found) / least:.1f} times rm -rf")


if __name__ == "__main__":
    main()
