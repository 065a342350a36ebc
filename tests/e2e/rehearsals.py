"""Rehearsals as tests start them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.integration.components import give_up, require
from tests.samples import REPOSITORY, write_repository

NODE_MODULES = Path(os.environ.get("SPACKTAINERS_NODE_MODULES", REPOSITORY / "build" / "node_modules"))


SECONDS = 1800


PLANTED = {
    name: f"planted-{name.lower().replace('_', '-')}"
    for name in (
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_CACHE_SECRET_ACCESS_KEY",
        "AWS_INFRASTRUCTURE_SECRET_ACCESS_KEY",
        "CI_REGISTRY_PASSWORD",
        "CI_JOB_TOKEN",
        "GITLAB_API_TOKEN",
        "DOCKERHUB_PASSWORD",
    )
}
"""What lies about in a developer's shell; a rehearsal does not even see it."""


SITE = """\
registry: {{label_prefix: org.example}}
spack:
  ref: {commit}
  version: "1.1"
  packages: {{repository: https://git.example.org/spack-packages.git, ref: {commit}}}
images:
  builder: {{base: "{host}/public/base:1"}}
  runtime: {{base: "{host}/public/base:1"}}
  singularitah: {{base: "{host}/public/base:1"}}
  buildah: {{storage_driver: {driver}}}
# So few that the packages for amd64 need children of the pipeline that they are in.
gitlab: {{fuse: off, limits: {{max_jobs: 27}}}}
architectures:
  amd64:
    runner_tags: [big]
    build_cache:
      bucket: cache-amd64
      endpoint: "https://s3.example.org"
      # Whoever only reads has keys of its own, or none.
      reader: &reader {{access_key_id_variable: READER_ID, secret_access_key_variable: READER_SECRET}}
    containers: {{bucket: sifs, endpoint: "https://s3.example.org"}}
  arm64:
    runner_tags: [small]
    build_cache: {{bucket: cache-arm64, reader: *reader}}
publish:
  dockerhub: {{namespace: example}}
  clusters:
    alps: {{directory: /nobody/may/write/here, runner_tags: [alps], setup: "module load python"}}
"""


COMPRESS = """\
spack:
  specs: [bzip2]
spacktainer:
  test: [test "$(bzip2 --help)" = "bzip2 1.0.8 --help"]
"""


DEFINITIONS = {
    "container_definitions/amd64/compress.yaml": COMPRESS,
    "container_definitions/arm64/compress.yaml": COMPRESS,
    "container_definitions/amd64/other.yaml": "spack: {specs: [c-blosc, python]}\n",
    "container_definitions/arm64/other.yaml": "spack: {specs: [expat]}\n",
}


BUILDER = """\
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
COPY spack /usr/local/bin/spack
RUN echo gcc@13.2.0 > /opt/spack-compilers.txt
"""


@dataclass(frozen=True)
class Rehearsed:
    """What a rehearsal said, and what it left."""

    exit_code: int
    printed: str
    result: Any
    folder: Path

    def pipelines(self, run: int = 0) -> dict[str, Mapping[str, Any]]:
        """The pipelines of a run by the names of their trigger jobs."""
        return {one["name"]: one for one in self.result["runs"][run]["pipelines"]}


def repository(folder: Path, **values: str) -> Path:
    """A repository under git."""
    values = {"commit": "a" * 40, "host": "registry.invalid", "driver": "vfs", **values}
    root = write_repository(folder, DEFINITIONS, SITE.format(**values))
    shutil.copytree(REPOSITORY / "spacktainer" / "image", root / "spacktainer" / "image")
    shutil.copy(REPOSITORY / "spacktainer" / "Dockerfile.j2", root / "spacktainer")
    (root / "builder" / "Dockerfile").write_text(BUILDER)
    spack = root / "builder" / "spack"
    spack.write_text((REPOSITORY / "tests" / "e2e" / "stand_in_spack.py").read_text())
    spack.chmod(0o755)
    subprocess.run(["git", "init", "--quiet", "--initial-branch", "main", str(root)], check=True)
    return root


def rehearse(root: Path, folder: Path, *options: str, environment: Mapping[str, str] | None = None) -> Rehearsed:
    """Run the command, for so long at most."""
    for program in ("git", "rsync"):
        require(program)
    if not (NODE_MODULES / "gitlab-ci-local").is_dir():
        give_up(f"gitlab-ci-local is not in {NODE_MODULES}")
    command = [sys.executable, "-m", "job_creator", "-C", str(root), "rehearse", "--executor", "shell", "--json"]
    # Its own limit comes first: then nothing of it lives on.
    command += ["--folder", str(folder), "--node-modules", str(NODE_MODULES), "--timeout", "25", *options]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SPACK", "CI", "AWS"))}
    done = subprocess.run(
        command,
        env={**kept, **PLANTED, "PYTHONPATH": str(REPOSITORY), **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    result = json.loads(done.stdout) if done.stdout.startswith("{") else {}
    return Rehearsed(done.returncode, done.stdout + done.stderr, result, folder)
