"""Planning, virtual time and the overhead of each step: `python -m benchmarks.builds.engines`.

Steps do nothing (`true`), so that what is left is the driver's and the engine's. Slurm is compared with the same chain,
submitted by plain `sbatch`; Slurm and Ray are measured where they are installed.
"""

from __future__ import annotations

import importlib.util
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from heapq import heappop, heappush
from pathlib import Path

from foundation.graph import BuildGraph, Package, critical_path
from job_creator.builds.steps import Demand, Step
from job_creator.engines.engine import StepEngine, StepWork
from job_creator.engines.local.engine import LocalEngine
from job_creator.runs.driver import Driver
from job_creator.runs.plan import RunPlan, make_plan
from job_creator.runs.progress import RunProgress
from job_creator.runs.records import StepRecord

STEPS = 10_000
CHAIN = 20
WORKERS = 1000


def graph(count: int, seed: int = 1) -> BuildGraph:
    """Packages that need up to 13 of the 400 before them, as in large stacks."""
    chance = random.Random(seed)
    names = [f"{number:032d}" for number in range(count)]
    edges = {
        name: frozenset(names[chance.randrange(max(0, at - 400), at)] for _ in range(min(at, chance.randrange(1, 14))))
        for at, name in enumerate(names)
    }
    return BuildGraph({name: Package(f"p{at}", "1") for at, name in enumerate(names)}, edges)


def chain(count: int) -> RunPlan:
    """Each package needs the one before it."""
    names = [f"{number:032d}" for number in range(count)]
    edges = {name: frozenset(names[at - 1 : at]) for at, name in enumerate(names)}
    return make_plan({"all": BuildGraph({name: Package("p", "1") for name in names}, edges)}, ())


class Nowhere:
    """Keeps no records; every step counts as built."""

    def left_record(self, step: Step, number: int) -> StepRecord | None:
        """Built."""
        return StepRecord(step.hash, step.package, step.version, step.environment, "built", attempt=number)

    def log_name(self, step: Step, number: int) -> str:
        """None."""
        return ""

    def end_of_log(self, step: Step, number: int) -> str:
        """Nothing."""
        return ""

    def add_record(self, record: StepRecord) -> None:
        """Forget it."""

    def add_submitted(self, hash_: str, attempt: int, id_: str) -> None:
        """Forget it."""


def driven(plan: RunPlan, engine: StepEngine, folder: Path) -> float:
    """Seconds that a run takes whose steps do nothing."""
    log = folder / "log"

    def work_of(step: Step, attempt: int, halved: int) -> StepWork:
        environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
        return StepWork(step, ("/usr/bin/env", "true"), log, 1, 60.0, environment=environment)

    start = time.perf_counter()
    Driver(plan, engine, Nowhere(), work_of, lambda record: None).run()
    return time.perf_counter() - start


def virtual_makespan(plan: RunPlan, workers: int) -> float:
    """Seconds of virtual time with so many workers, in the driver's own order; steps take what is expected."""
    seconds = plan.seconds
    progress = RunProgress(plan.edges, seconds, ahead=False)
    running: list[tuple[float, str]] = []
    now = 0.0
    while not progress.is_done:
        while progress.startable and len(running) < workers:
            step = progress.next()
            heappush(running, (now + seconds[step], step))
        now, done = heappop(running)
        progress.built(done)
    return now


def planning() -> None:
    """10,000 steps, and how long they would take."""
    large = graph(STEPS)
    chance = random.Random(2)
    times = {name: chance.paretovariate(1.1) * 30 for name in sorted({one.name for one in large.packages.values()})}
    start, processor = time.perf_counter(), time.process_time()
    plan = make_plan({"all": large}, (), demands=lambda name: Demand(times[name]))
    took, used = time.perf_counter() - start, time.process_time() - processor
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{STEPS} steps planned in {took:.2f} s, {used:.2f} s of the processor; {memory:.0f} MiB at most")
    longest = sum(plan.seconds[step] for step in critical_path(plan.edges, plan.seconds))
    for workers in (10, 100, WORKERS):
        least = max(longest, sum(plan.seconds.values()) / workers)
        print(f"makespan with {workers} workers: {virtual_makespan(plan, workers) / least:.3f} of the lower bound")


def local(folder: Path) -> None:
    """Processes of this machine, against starting the same ones one after the other."""
    count = 400
    start = time.perf_counter()
    for _ in range(count):
        subprocess.run(["/usr/bin/env", "true"], check=True, stdin=subprocess.DEVNULL)
    plain = (time.perf_counter() - start) / count
    engine = LocalEngine(2, folder / "pipe")
    took = driven(chain(count), engine, folder) / count
    engine.close()
    print(f"local: {1000 * (took - plain):.2f} ms a step more than the {1000 * plain:.2f} ms of 'true'")


def slurm(folder: Path) -> None:
    """Jobs of a private Slurm, against plain sbatch."""
    from job_creator.engines.scheduler import SchedulerEngine
    from job_creator.engines.slurm.jobs import Slurm
    from tests.integration import components
    from tests.integration.slurm import private_slurm

    components._hold_to_mark = lambda program: None
    with private_slurm(folder / "slurm") as found:
        os.environ.update(found.environment)
        ours: list[float] = []
        plain: list[float] = []
        for number in range(3):
            plain.append(plain_chain(folder))
            logs = folder / str(number)
            logs.mkdir()
            engine = SchedulerEngine(Slurm(), "mirror", "run", variables=found.environment, pause=0.2)
            ours.append(driven(chain(CHAIN), engine, logs))
    best, other = min(ours), min(plain)
    print(f"slurm: chain of {CHAIN}: {best:.1f} s, plain sbatch {other:.1f} s: {best / other:.2f} times")


def plain_chain(folder: Path) -> float:
    """Seconds for a chain of jobs by sbatch alone, until the last has ended."""
    script = folder / "true.sh"
    script.write_text("#!/bin/sh\nexec true\n")
    start = time.perf_counter()
    last, squeue = "", shutil.which("squeue") or "squeue"
    for _ in range(CHAIN):
        wait = [f"--dependency=afterok:{last}"] if last else []
        command = ["sbatch", "--parsable", f"--output={folder}/plain.log", *wait, str(script)]
        last = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    while subprocess.run([squeue, "-h", "-j", last], capture_output=True, text=True, check=False).stdout.strip():
        time.sleep(0.2)
    return time.perf_counter() - start


def ray(folder: Path) -> None:
    """Tasks of a cluster on this machine."""
    from job_creator.engines.ray.cluster import new_cluster
    from job_creator.engines.ray.engine import RayEngine

    environment = {name: os.environ[name] for name in ("PATH", "HOME")}
    start = time.perf_counter()
    engine = RayEngine(new_cluster(environment, folder, is_joined=False), folder)
    up = time.perf_counter() - start
    driven(chain(20), engine, folder)
    count = 200
    took = driven(chain(count), engine, folder) / count
    engine.close()
    print(f"ray: {1000 * took:.1f} ms a step of a chain, after {up:.1f} s for the cluster")


def main() -> None:
    """Print the figures of docs/performance.md."""
    print(f"Python {sys.version.split()[0]}, load {os.getloadavg()[0]:.0f}")
    planning()
    # Ray needs a moment of its own to start, so it comes last.
    measured: list[tuple[bool, Callable[[Path], None]]] = [
        (True, local),
        (shutil.which("slurmctld") is not None, slurm),
        (importlib.util.find_spec("ray") is not None, ray),
    ]
    for is_there, measure in measured:
        if is_there:
            with tempfile.TemporaryDirectory(prefix="jc-", dir="/tmp") as folder:
                Path(folder).chmod(0o755)
                measure(Path(folder))


if __name__ == "__main__":
    main()
