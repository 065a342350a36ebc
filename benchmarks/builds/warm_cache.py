"""What a user's cache with all recipes in it is worth to a worker that builds its first package.

    SPACKTAINERS_SPACK_ROOT=/path/to/spack RECIPES=/path/to/spack_repo/builtin python -m benchmarks.builds.warm_cache

A package that does nothing is built by `run_step.py` with all recipes of builtin around it: with the cache that `jc
build` hands on, and without.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from foundation.yaml_io import dump
from tests.integration.real_spack import ROOTS, alone
from tests.integration.tiny_spack import TinySpack

RECIPE = """\
version("1.0")

    def install(self, spec, prefix):
        with open(prefix.join("file"), "w") as file:
            file.write(self.name)
"""


def step(run: Path, name: str, environment: dict[str, str]) -> float:
    """Seconds that a step takes in a run, with a build cache of its own."""
    order = json.loads((run / "order.json").read_text())
    order["mirrors"]["buildcache-destination"]["url"] = (run.parent / f"mirror-{name}").as_uri()
    (run / "order.json").write_text(json.dumps(order))
    (entry,) = json.loads((run / "run.json").read_text())["steps"]
    program = [sys.executable, str(run / "program" / "run_step.py"), str(run), entry["environment"], entry["hash"]]
    start = time.perf_counter()
    subprocess.run(
        [*program, str(run.parent / name), "--engine", "none", "--fresh"],
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return time.perf_counter() - start


def main() -> None:
    """Build it twice."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        spack = TinySpack.made(ROOTS[0], folder, {"nothing": RECIPE})
        made = spack.environment("all", {"specs": ["nothing"]})
        done = spack.run("-e", str(made), "concretize")
        if done.returncode:
            sys.exit(done.stdout)
        # Only now: to concretize among all of them would take minutes.
        repositories = {"tiny": str(spack.recipes), "builtin": os.environ["RECIPES"]}
        (folder / "configuration" / "repos.yaml").write_text(dump({"repos:": repositories}))
        environment = {**os.environ, **alone(folder), "XDG_CACHE_HOME": str(folder / "xdg")}
        words = ["--mirror", str(folder / "mirror"), "--spack", spack.program, "--scope", f"{folder}/configuration"]
        run = [*words, "--run", str(folder / "run"), "--scratch", str(folder / "scratch"), "--unsigned"]
        start = time.perf_counter()
        command = [sys.executable, "-m", "job_creator", "build", str(made), *run, "--least-free", "1MB"]
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
        print(f"the whole run, with making the cache: {time.perf_counter() - start:.1f} s")
        warm = step(folder / "run", "warm", environment)
        (folder / "run" / "warm").unlink()
        cold = step(folder / "run", "cold", environment)
        print(f"first step with the cache: {warm:.1f} s, without: {cold:.1f} s")


if __name__ == "__main__":
    main()
