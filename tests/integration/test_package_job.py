"""A package job with the stand-in for Spack: the program of the job itself, and a bucket as build cache."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from foundation.stores.s3_client import s3_client
from foundation.yaml_io import dump
from job_creator.builds import node_step
from job_creator.builds.node_step import read_records
from job_creator.environments.mirror_names import DESTINATION
from job_creator.rehearsal import replay
from job_creator.rehearsal.shell import stand_in
from tests.integration.s3_server import s3_environment_fixture, s3_url_fixture
from tests.samples import REPOSITORY

__all__ = ["s3_environment_fixture", "s3_url_fixture"]

TEMPLATES = REPOSITORY / "job_creator" / "scripts" / "templates"


def job(folder: Path, packages: str, **variables: str) -> dict[str, str]:
    """Run the job of some packages; what became of each, by name."""
    environment = {
        **os.environ,
        "PATH": f"{folder / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "SPACK_ENV": str(folder / "concrete_environment"),
        "SPACK_ARTIFACTS_ROOT": str(folder),
        "SPACK_CONCRETE_ENV_DIR": str(folder / "concrete_environment"),
        node_step.PACKAGES_VARIABLE: packages,
        **variables,
    }
    done = subprocess.run(
        ["spack", "python", str(TEMPLATES / node_step.PROGRAM)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    records = read_records((folder / node_step.OUTCOMES / node_step.RECORDS).read_bytes(), "records")
    assert done.returncode == int(any(one.state in ("failed", "skipped") for one in records)), done.stderr
    return {record.package: f"{record.state} {record.because}".strip() for record in records}


def test_packages_are_built_once_and_what_lacks_something_is_skipped(s3_environment: str, tmp_path: Path) -> None:
    s3_client(s3_environment).create_bucket(Bucket="cache")
    mirrors = {DESTINATION: {"url": "s3://cache", "endpoint_url": s3_environment}}
    lock = replay.concretized(["zlib-ng"]).lock
    here = tmp_path / "concrete_environment"
    here.mkdir()
    (here / "spack.yaml").write_text(dump({"spack": {"mirrors": mirrors}}))
    (here / "spack.lock").write_text(json.dumps(lock))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "spack").write_text(stand_in.LAUNCHER)
    (tmp_path / "bin" / "spack").chmod(0o755)
    specs = {node["name"]: f"{node['name']}@1/{key}" for key, node in lock["concrete_specs"].items()}
    first, last = specs["gcc-runtime"], specs["compiler-wrapper"]

    lacking = job(tmp_path, specs["zlib-ng"])
    assert lacking["zlib-ng"].startswith("skipped its dependency ")
    failed = job(tmp_path, f"{first} {last}", REHEARSAL_FAIL="compiler-wrapper")
    assert failed == {"gcc-runtime": "built", "compiler-wrapper": "failed it does not build: exit code 9"}
    again = job(tmp_path, f"{first} {last}")
    assert again == {"gcc-runtime": "reused it is in s3://cache already", "compiler-wrapper": "built"}
