"""Reports: how long a plan of a large stack takes, and how large its files are.

    python -m benchmarks.pipelines.reports [--picture]

With `--picture`, draws the top of the report of a recording for the documentation instead, in Chromium.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.pipelines.package_pipelines import write_stack
from tests.samples import REPOSITORY, SITE
from tests.spack_ci import RECORDINGS

JOBS = 2500
ROUNDS = 3
PICTURE = REPOSITORY / "docs" / "report.png"
WIDTH, HEIGHT = 1000, 760


def jc(folder: Path, *arguments: str) -> float:
    """Run a command in a folder; its seconds."""
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "job_creator", "-q", "-C", folder, *arguments], check=True, capture_output=True
    )
    return time.perf_counter() - start


def generated(folder: Path, source: Path) -> Path:
    """The pipeline that is generated from what Spack wrote."""
    (folder / "spacktainers.yaml").write_text(SITE)
    told = ["--architecture", "amd64", "--pipeline-dir", str(source), "--out-dir", str(folder / "out")]
    jc(folder, "process-spack-pipeline", *told)
    return folder / "out" / "spack_pipeline.yaml"


def measure() -> None:
    """The plan of a large stack, against what `jc --version` takes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_stack(folder / "in", 1, JOBS, 1.0)
        pipeline = generated(folder, folder / "in")
        idle = jc(folder, "--version")
        told = ["--pipeline", str(pipeline), "--out-dir", str(folder / "report")]
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        seconds = min(jc(folder, "report", "plan", str(folder / "in"), *told) for _ in range(ROUNDS))
        worked = (resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before) / ROUNDS
        sizes = {path.name: path.stat().st_size for path in sorted((folder / "report").iterdir())}
    print(f"plan of {JOBS} packages, all forms: {seconds:.2f} s (aim: 3 s)")
    print(f"  of the processor {worked:.2f} s; 'jc --version' takes {idle:.2f} s")
    print(f"  report.html {sizes['report.html']:,} bytes (aim: 300,000)")
    print(f"  {', '.join(f'{name} {size:,}' for name, size in sizes.items() if name != 'report.html')}")


def draw() -> None:
    """The top of the report of a recording."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pipeline = generated(folder, RECORDINGS / "spack-1.1")
        told = ["--pipeline", str(pipeline), "--out-dir", str(folder / "report"), "--title", "Plan of a small stack"]
        jc(folder, "report", "plan", str(RECORDINGS / "spack-1.1"), *told)
        page = folder / "report" / "report.html"
        # What is told where a pointer is has no place in a picture.
        page.write_text(page.read_text().replace("<script>", '<script type="text/plain">'))
        options = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--window-size={WIDTH},{HEIGHT}",
        ]
        command = ["chromium", *options, f"--user-data-dir={folder}/profile", f"--screenshot={PICTURE}", page.as_uri()]
        subprocess.run(command, check=True, capture_output=True)
    print(f"{PICTURE}: {PICTURE.stat().st_size:,} bytes")


if __name__ == "__main__":
    draw() if "--picture" in sys.argv else measure()
