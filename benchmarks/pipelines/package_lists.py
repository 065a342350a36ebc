"""Lists of packages: how long a selection takes, and what `jc packages lock` adds to what the solver takes.

python -m benchmarks.pipelines.package_lists package_index.json [500]

The Spack is a stand-in that solves nothing, so that what is left is the overhead: one process of it solves many specs.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from foundation.spack.package_index import read_package_index
from job_creator.definitions.file import PackageSelection
from job_creator.package_lists.selection import selected
from tests.fakes.solving_spack import solving_spack
from tests.samples import SITE, TEMPLATE, write_repository

WANTED = PackageSelection(
    build_systems=("cmake", "makefile", "autotools", "meson"),
    licenses=("MIT", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause"),
)


def selection(index_file: Path) -> None:
    """Which of all packages fit."""
    index = read_package_index(index_file.read_bytes(), str(index_file))
    start = time.process_time()
    found = selected(WANTED, index)
    print(f"{len(found)} of {len(index.packages)} packages selected: {time.process_time() - start:.2f} s of CPU")


def locks(count: int) -> None:
    """A lockfile for each of so many specs, and once more with nothing to do."""
    with tempfile.TemporaryDirectory() as name:
        root, locks = Path(name) / "repository", Path(name) / "locks"
        specs = json.dumps([f"package-{number}" for number in range(count)])
        text = f"spack:\n  specs: {specs}\n  concretizer: {{unify: false}}\nspacktainer: {{build_only: true}}\n"
        write_repository(root, {"spack.yaml": TEMPLATE, "container_definitions/amd64/corpus.yaml": text}, SITE)
        spack = solving_spack(Path(name) / "spack")
        command = [sys.executable, "-m", "job_creator", "-q", "-C", str(root), "packages", "lock", "corpus"]
        command += ["-o", str(locks), "--spack", str(spack), "--jobs", "2"]
        for words in ("all of them", "nothing left to do"):
            start = time.perf_counter()
            subprocess.run(command, check=True, env={"PATH": "/usr/bin:/bin", "SOLVING_SECONDS": "0"})
            seconds = time.perf_counter() - start
            print(f"{count} specs, {words}: {seconds:.1f} s, {1000 * seconds / count:.1f} ms each")


def main(arguments: list[str]) -> None:
    """Print all of it."""
    selection(Path(arguments[0]))
    locks(int(arguments[1]) if len(arguments) > 1 else 500)


if __name__ == "__main__":
    main(sys.argv[1:])
