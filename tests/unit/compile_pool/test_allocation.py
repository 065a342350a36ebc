"""Settings of an allocation, and the scripts that are made of them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from job_creator.__main__ import main
from job_creator.compile_pool.allocation.settings import PoolFile
from tests.programs import program

CLUSTCC = """\
{
    "slurm_partiton" : "long", // name of slurm partition
    "slurm_pmi" : "pmix",
    "slurm_time": "12:30:00",
    "slurm_batch_file": "clustcc.sbatch",
    "launch_file": "launch.sh", "total_cpus": 40, "flux_exe": "flux", "spack_exe": "/opt//spack/bin/spack",
    "port_file": "/shared/port", "specs": "zlib%clustcc hdf5%clustcc_toolchain+mpi",
    "num_workers": 31,// number of worker ranks
    "head_rank_cpus": 9, "head_rank_tasks": 4, "worker_rank_cpus": 1,
    "logging_level": "debug", "logging_prefix": "/shared/logs"
}
"""


def config(folder: Path, *words: str) -> Result:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return CliRunner().invoke(main, ["compile-pool", "config", *words], catch_exceptions=False)


def script_of(folder: Path, name: str) -> str:
    done = config(folder, "scripts", name)
    assert done.exit_code == 0, done.output
    path = (folder / name).with_suffix(".sh")
    checked = subprocess.run([program("shellcheck"), str(path)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
    return path.read_text()


def test_a_new_file_says_what_all_keys_mean_and_makes_a_script(tmp_path: Path) -> None:
    assert config(tmp_path, "new", "llvm.yaml").exit_code == 0
    text = (tmp_path / "llvm.yaml").read_text()
    assert [name for name in PoolFile.model_fields if f"{name}:" not in text] == []
    script = script_of(tmp_path, "llvm.yaml")
    assert "#SBATCH --ntasks=41\n" in script
    assert "compile-pool mpi --ranks=33 --launcher=srun --pmi=pmi2" in script
    assert script.rstrip().endswith("spack install -j41 zlib")
    # It may have been changed since.
    assert config(tmp_path, "new", "llvm.yaml").exit_code == 9
    assert (tmp_path / "llvm.yaml").read_text() == text


def test_flux_is_told_in_its_own_words(tmp_path: Path) -> None:
    settings = "specs: [/abcdef1]\nscheduler: flux\ntime: 0:30:00\nworkers: 7\npartition: batch\nworker_cores: 2\n"
    (tmp_path / "a b.yaml").write_text(settings + "log_level: error\nenvironment: my env\n")
    script = script_of(tmp_path, "a b.yaml")
    for line in ("--job-name=a-b", "--time-limit=1800s", "--nslots=24", "--queue=batch"):
        assert f"#flux: {line}\n" in script
    assert "compile-pool mpi --ranks=8 -q --launcher=flux --launcher-option=--cores-per-task=2" in script
    assert script.rstrip().endswith("spack -e 'my env' install -j16 /abcdef1")


def test_what_clustcc_was_configured_with_is_converted(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text(CLUSTCC)
    assert config(tmp_path, "new", "new.yaml", "--from", "old.json").exit_code == 0
    script = script_of(tmp_path, "new.yaml")
    assert "#SBATCH --partition=long\n" in script
    assert "#SBATCH --time=12:30:00\n" in script
    assert "#SBATCH --ntasks=41\n" in script
    assert "--ranks=32 -v --launcher=srun --pmi=pmix" in script
    assert "log=/shared/logs/new.compiles.jsonl" in script
    assert script.rstrip().endswith("/opt//spack/bin/spack install -j41 zlib hdf5+mpi")
    (tmp_path / "other.json").write_text(json.dumps({"num_worker": 1}))
    done = config(tmp_path, "new", "other.yaml", "--from", "other.json")
    assert (done.exit_code, "num_worker" in done.output) == (3, True)
    assert not (tmp_path / "other.yaml").exists()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("workers: 0", "workers"),
        ("time: 90", "time"),
        ("worker: 3", "did you mean 'workers'?"),
        ("options: ['--a b']", "one word"),
        ("specs: []", "specs"),
    ],
)
def test_faults_are_told_at_their_place(tmp_path: Path, line: str, said: str) -> None:
    (tmp_path / "pool.yaml").write_text(f"{line}\n" + ("" if line.startswith("specs") else "specs: [zlib]\n"))
    done = config(tmp_path, "scripts", "pool.yaml")
    assert done.exit_code == 3
    assert "pool.yaml:1:" in done.output
    assert said in done.output
    assert not (tmp_path / "pool.sh").exists()
