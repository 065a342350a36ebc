"""The script of `jc compile-pool config scripts` on a private Slurm of two nodes."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.integration.components import require
from tests.integration.slurm import private_slurm

pytestmark = pytest.mark.xdist_group("slurm")
SOURCES = 6


def test_the_script_compiles_on_both_nodes(components: None, tmp_path: Path) -> None:
    for program in ("gcc", "make"):
        require(program)
    for number in range(SOURCES):
        (tmp_path / f"c{number}.c").write_text(f"int f{number}(int x) {{ return x + {number}; }}\n")
    objects = " ".join(f"c{number}.o" for number in range(SOURCES))
    (tmp_path / "Makefile").write_text(f"all: {objects}\n%.o: %.c\n\tccache gcc -O2 -c -o $@ $<\n")
    # A Spack whose package is made by make: the wrapper of compilers does what the makefile does here.
    spack = tmp_path / "spack"
    spack.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\nexec make -C {tmp_path} -j4\n')
    spack.chmod(0o755)
    settings = f"specs: [llvm]\nspack: {spack}\nworkers: 2\nhead_cores: 1\ntime: 0:10:00\nlog_folder: {tmp_path}\n"
    (tmp_path / "pool.yaml").write_text(settings)
    jc = [sys.executable, "-m", "job_creator"]
    subprocess.run([*jc, "compile-pool", "config", "scripts", str(tmp_path / "pool.yaml")], check=True)
    with private_slurm(tmp_path / "slurm", cores=2) as slurm:
        job = slurm.run("sbatch", "--parsable", f"--chdir={tmp_path}", str(tmp_path / "pool.sh")).strip()
        log = tmp_path / f"pool.{job}.log"
        end = time.monotonic() + 240
        while not log.exists() or "compile pool:" not in log.read_text():
            assert time.monotonic() < end, (log.read_text() if log.exists() else "", slurm.run("squeue"))
            time.sleep(0.2)
    lines = [json.loads(line) for line in (tmp_path / "pool.compiles.jsonl").read_text().splitlines()]
    assert {one["file"]: one["why"] for one in lines} == {f"c{number}.c": "" for number in range(SOURCES)}
    assert {one["rank"] for one in lines} == {1, 2}
    assert shlex.split((tmp_path / "asked").read_text()) == ["-c", "config:ccache:true", "install", "-j4", "llvm"]
    assert all((tmp_path / f"c{number}.o").exists() for number in range(SOURCES))
    assert not list(Path(os.environ["TMPDIR"]).glob("jc-pool-*"))
