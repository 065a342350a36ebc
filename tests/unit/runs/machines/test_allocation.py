"""Scripts of allocations as they are, for review. `UPDATE_GOLDEN=1 make test` writes them anew after a change."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from job_creator.runs.machines.allocation import Allocation
from tests.commands import jc
from tests.pipeline_checks import GOLDEN
from tests.programs import program

CORPUS = "/p/lustre1/me/corpus"
JC = ("/home/me/venv/bin/python", "-m", "job_creator")
BUILD = (f"{CORPUS}/locks", "--mirror=/p/lustre1/me/cache", "--cores=4")
CASES = {
    "slurm-one-node": Allocation("slurm", 1, "local", CORPUS, JC, BUILD, f"{CORPUS}/run", 6),
    "slurm-ray": Allocation(
        "slurm",
        16,
        "ray",
        CORPUS,
        JC,
        (*BUILD, "--container=/home/me/my tools.sif", "--joined"),
        f"{CORPUS}/run",
        24,
        ("--partition=pbatch", "--account=me"),
        "/dev/shm",  # noqa: S108 - a disk in memory of any Linux
        "/home/me/site.pem",
    ),
    "flux": Allocation("flux", 16, "flux", CORPUS, JC, BUILD, f"{CORPUS}/run", 24, ("--queue=pbatch",)),
    "flux-ray": Allocation("flux", 16, "ray", CORPUS, JC, BUILD, f"{CORPUS}/run", 0.5),
}


@pytest.mark.parametrize("case", CASES)
def test_scripts_are_what_was_reviewed(case: str) -> None:
    folder = GOLDEN / "allocations" / case
    scripts = CASES[case].scripts()
    if os.environ.get("UPDATE_GOLDEN"):
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in scripts.items():
            (folder / name).write_text(text)
    assert {path.name: path.read_text() for path in folder.iterdir()} == scripts


@pytest.mark.parametrize("case", CASES)
def test_shellcheck_has_nothing_against_them(case: str) -> None:
    for text in CASES[case].scripts().values():
        done = subprocess.run([program("shellcheck"), "-"], input=text, capture_output=True, text=True, check=False)
        assert done.stdout == ""


def limits(*commands: str) -> list[str]:
    setup = CASES["flux"].scripts()["setup.sh"].partition("# Where packages")[0]
    script = "\n".join(("set -eu", *commands, setup, "ulimit -S -n", "ulimit -S -s"))
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_limits_are_raised_as_far_as_the_site_allows() -> None:
    told, *found = limits("ulimit -n 1000", "ulimit -S -s 8192")
    assert found == ["1000", "32768"]
    assert told.startswith("the limit of 'ulimit -n' on ")


def test_limits_that_are_higher_already_stay(tmp_path: Path) -> None:
    assert limits("ulimit -S -s 40000")[-1] == "40000"


def test_scripts_name_what_is_there_by_its_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "locks").mkdir()
    (tmp_path / "tools.sif").touch()
    monkeypatch.chdir(tmp_path)
    words = ("locks/", "amd64/neuron", "--mirror", "s3://cache/x", "--only", "hdf5", "--only", "zlib", "--unsigned")
    done = jc("cluster", "scripts", "--scheduler", "slurm", "-N", "2", "--container", "tools.sif", "--", *words)
    assert done.stdout.splitlines()[-1] == f"submit it with: sbatch --parsable {tmp_path}/cluster/allocation.sh"
    script = (tmp_path / "cluster" / "allocation.sh").read_text()
    told = (
        f"build {tmp_path}/locks amd64/neuron --mirror=s3://cache/x --container={tmp_path}/tools.sif --only=hdf5 "
        f"--only=zlib --unsigned --run {tmp_path}/cluster/run --engine ray --joined"
    )
    assert told in script


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("--scheduler", "slurm", "--engine", "slurm"), 9, "cannot build in an allocation of slurm"),
        (("--scheduler", "slurm", "--engine", "flux"), 9, "it can with local, ray"),
        (("--scheduler", "flux", "-N", "2", "--engine", "local"), 9, "is for one node"),
    ],
)
def test_engines_that_cannot_build_there_are_refused(words: tuple[str, ...], code: int, told: str) -> None:
    done = jc("cluster", "scripts", *words, "--", "spack.lock", "--mirror", "x")
    assert done.exit_code == code
    assert told in done.stderr


def test_what_jc_build_would_not_take_is_refused() -> None:
    done = jc("cluster", "scripts", "--scheduler", "slurm", "--", "spack.lock")
    assert (done.exit_code, "Missing option '--mirror'" in done.stderr) == (2, True)
    done = jc("cluster", "scripts", "--scheduler", "slurm", "--", "spack.lock", "--mirror", "x", "--launch", "slurm")
    assert (done.exit_code, "--launch" in done.stderr) == (2, True)
