"""Package pipelines: how close they come to the least possible time, how small they are, how long packing takes.

    python -m benchmarks.pipelines.package_pipelines DIR [DIR ...]

Each DIR holds the output of `spack ci generate` for the containers of one architecture, as
`jc process-spack-pipeline --pipeline-dir` takes it. Without one the recordings of the tests are used.
"""

from __future__ import annotations

import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from foundation.graph import Edges
from foundation.yaml_io import load
from job_creator.builds.durations import default_durations
from job_creator.builds.fusion import seconds_of
from job_creator.builds.merge import Merged
from job_creator.builds.steps import Demand
from job_creator.engines.gitlab.generated import Generated
from job_creator.engines.gitlab.jobs.packages import PackagePlace
from job_creator.engines.gitlab.packing.partition import RUNNERS, lower_bound
from job_creator.engines.gitlab.packing.pipelines import Packed, PackRequest, pack
from job_creator.engines.gitlab.packing.summary import files_by_path
from job_creator.engines.gitlab.packing.work import FusionRequest, PackageWork, package_work
from job_creator.engines.gitlab.simulation import prepare
from job_creator.engines.gitlab.sizes import parsed_size
from job_creator.pipelines.packages import preparation, read_folder
from tests.samples import SITE, site
from tests.spack_ci import RECORDINGS, fusable, lockfile, pipeline, renamed

MAX_JOBS = (None, 200, 100)
HEAVY_TAILS = 3
UNKNOWN = 10
HELD_OUT = (50_000, 60_000, 70_000)
"""Where the seeds of further sets begin, by which nobody has tuned anything. Keep it so."""
LARGE = (20, 1000, 0.5), (560, 3, 0.0)
"""Containers, packages of each, and the share of these that all have: few large ones, and many small ones."""
START = 45.0
"""Seconds that a job takes before it builds anything."""


def durations(merged: Merged) -> dict[str, dict[str, float]]:
    """The default model, and random ones with heavy tails, by name."""
    model = default_durations()
    found = {"model": {key: model.of_package(step.package) for key, step in merged.steps.items()}}
    for seed in range(HEAVY_TAILS):
        chance = random.Random(seed)
        found[f"heavy tail {seed}"] = {key: 60 * chance.paretovariate(1.1) for key in merged.steps}
    return found


def expecting(merged: Merged, seconds: Mapping[str, float]) -> Merged:
    """The same steps, expected to take so many seconds by DAG hash."""
    steps = {key: replace(step, demand=Demand(seconds[key])) for key, step in merged.steps.items()}
    return replace(merged, steps=steps)


def ratios(merged: Merged, packed: Packed, seconds: Mapping[str, float]) -> list[float]:
    """Makespan against the lower bound for each number of runners; service jobs take no time.

    The bound is that of packages with a job each, so that figures with fusion and without it can be compared.
    """
    jobs = seconds_of(tuple(packed.work.groups.values()), seconds, START)
    taken = {name: jobs[packed.work.groups[key][0]] for name, key in packed.work.built_by.items()}
    simulation = prepare(files_by_path(packed), packed.files[0].name, lambda name, _: taken.get(name, 0.0))
    return [simulation.run(runners).makespan / lower_bound(merged.edges, seconds, runners) for runners in RUNNERS]


def report(title: str, found: list[Generated], place: PackagePlace) -> None:
    """One line for each way to split and each set of durations."""
    start = time.perf_counter()
    work = package_work(found, place)
    merged = work.merged
    taken = time.perf_counter() - start
    print(f"{title}: {merged.steps_read} jobs read, {len(merged.steps)} to build (merged in {taken:.2f} s)")
    for name, seconds in durations(merged).items():
        for most in MAX_JOBS:
            start = time.perf_counter()
            packed = pack(replace(work, merged=expecting(merged, seconds)), PackRequest("out", "root.yaml", most))
            taken = time.perf_counter() - start
            found_ratios = " ".join(f"{ratio:.3f}" for ratio in ratios(merged, packed, seconds))
            children = len(packed.files) - 1
            print(f"  {name:12} max-jobs {most or '-':>3}: {children} children, {found_ratios} ({taken:.2f} s)")
            if name == "model":
                print(f"    {UNKNOWN} sets of other durations: {surprised(merged, packed)}")
                told = "; ".join(surprised(merged, packed, first) for first in HELD_OUT)
                print(f"    as many held out, three times: {told}")
            if most is None and name == "model":
                size = sum(parsed_size(file.document) for file in packed.files)
                print(f"  parsed size {size:,} bytes, {size / len(merged.steps):,.0f} per package")


def surprised(merged: Merged, packed: Packed, first: int = 1000) -> str:
    """The worst and the mean ratio with durations that the packer neither knew nor tried, of seeds from `first` on."""
    found = []
    for seed in range(UNKNOWN):
        chance = random.Random(first + seed)
        seconds = {key: 60 * chance.paretovariate(1.1) for key in merged.steps}
        found.append(max(ratios(merged, packed, seconds)))
    return f"{max(found):.2f} at worst, {sum(found) / len(found):.2f} on average"


def fused(title: str, found: list[Generated], place: PackagePlace) -> None:
    """What it changes that packages share jobs: expected and with durations that the packer does not know."""
    found = [fusable(one) for one in found]
    model = default_durations()
    known = replace(model, measured=frozenset(step.package for one in found for step in one.builds.steps))
    for name, told in (("are guesses", model), ("are measured", known)):
        for most in (None, 100):
            apart = Laid.out(found, place, FusionRequest("off", told), most)
            start = time.perf_counter()
            together = Laid.out(found, place, FusionRequest("auto", told), most)
            taken = time.perf_counter() - start
            hours = sum(together.work.seconds.values()) / sum(apart.work.seconds.values()) - 1
            packages, jobs = len(together.work.merged.steps), len(together.work.groups)
            print(f"{title}, durations {name}, max-jobs {most or '-'}: {packages} in {jobs} jobs ({taken:.1f} s)")
            pairs = zip(together.expected(), apart.expected(), strict=True)
            longer = " ".join(f"{one / other:.3f}" for one, other in pairs)
            print(f"  runner hours {hours:+.1%}; makespan {longer} of what it is apart")
            size = sum(parsed_size(file.document) for file in together.packed.files) / packages
            children = f"{len(together.packed.files) - 1} children, {len(apart.packed.files) - 1} apart"
            print(f"  {children}; {size:.0f} bytes a package")
            if told is model:
                print(f"  {UNKNOWN} sets of other durations: {together.surprised()}; apart {apart.surprised()}")


@dataclass
class Laid:
    """Packages, and the pipelines that were made of them."""

    work: PackageWork
    packed: Packed

    @staticmethod
    def out(found: list[Generated], place: PackagePlace, fusion: FusionRequest, most: int | None) -> Laid:
        """Merge and pack."""
        work = package_work(found, place, place.demands(fusion.durations), fusion)
        return Laid(work, pack(work, PackRequest("out", "root.yaml", most)))

    def expected(self) -> list[float]:
        """Makespans against the bound."""
        return ratios(self.work.merged, self.packed, self.work.merged.seconds)

    def surprised(self) -> str:
        """Makespans with other durations."""
        return surprised(self.work.merged, self.packed)


def sizes(folder: Path) -> None:
    """Parsed size of what Spack wrote, for comparison."""
    for path in sorted(folder.glob("*/*.y*ml")):
        print(f"  {path.parent.name}: {parsed_size(load(path.read_bytes(), str(path))):,} bytes as Spack wrote it")


def write_stack(folder: Path, containers: int, jobs: int, shared: float) -> None:
    """What Spack leaves for containers with many packages each, of which a part is common to all of them."""
    for number in range(containers):
        chance = random.Random(number)
        names = [f"p{index:05}" if index < jobs * shared else f"c{number:02}-{index:05}" for index in range(jobs)]
        edges: Edges = {
            name: frozenset(names[random.Random(name).randrange(index)] for _ in range(min(index, 3)))
            | (frozenset({names[chance.randrange(index)]}) if index > jobs * shared else frozenset())
            for index, name in enumerate(names)
        }
        container = folder / f"container-{number:02}"
        (container / "concrete_environment").mkdir(parents=True)
        (container / "pipeline.yml").write_bytes(pipeline(container.name, edges))
        (container / "concrete_environment" / "spack.lock").write_bytes(lockfile(edges))


def large(containers: int, jobs: int, shared: float) -> None:
    """The whole command on many containers."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_stack(folder / "in", containers, jobs, shared)
        (folder / "spacktainers.yaml").write_text(SITE)
        command = [sys.executable, "-m", "job_creator", "-C", name, "process-spack-pipeline", "--architecture", "amd64"]
        command += ["--pipeline-dir", f"{name}/in", "--out-dir", f"{name}/out"]
        start = time.perf_counter()
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        taken = time.perf_counter() - start
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"{containers} containers of {jobs} jobs: {done.stdout.splitlines()[0]}")
    print(f"  whole command {taken:.1f} s (aim: 20 s), {memory:.0f} MiB (aim: 1024 MiB)")


def tripled(found: Iterable[Generated]) -> list[Generated]:
    """Three times the same containers, with hashes of their own."""
    return [
        renamed(one, partial(_renamed, digit=digit), f"{one.container}-{digit}") for one in found for digit in "234"
    ]


def _renamed(key: str, digit: str) -> str:
    return key[:-1] + digit


def main() -> None:
    """All measurements."""
    place = preparation(site(), {"CI_PIPELINE_ID": "1", "BUILDER_IMAGE": "registry.example.org/builder:1"}, "amd64")
    folders = [Path(name) for name in sys.argv[1:]] or sorted(RECORDINGS.iterdir())
    print(f"makespan / lower bound for {', '.join(map(str, RUNNERS))} runners")
    for folder in folders:
        start = time.perf_counter()
        found, _ = read_folder(folder, keep_going=True)
        print(f"{folder.name}: read in {time.perf_counter() - start:.2f} s")
        report(folder.name, found, place)
        fused(folder.name, found, place)
        sizes(folder)
        if len(found) > 1:
            report(
                f"three times the largest of {folder.name}", tripled([max(found, key=lambda one: len(one.jobs))]), place
            )
    for stack in LARGE:
        large(*stack)


if __name__ == "__main__":
    main()
