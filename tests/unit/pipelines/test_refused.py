"""Every command that writes a pipeline holds it against what GitLab takes, and says what would be refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from foundation.errors import ExitCode
from job_creator.__main__ import main
from tests.locks import write_environment
from tests.samples import SITE, TEMPLATE, write_repository
from tests.spack_ci import RECORDINGS

COMMANDS = {
    "create-jobs": ("create-jobs", "--offline", "-o", "{out}/generated_pipeline.yaml"),
    "render-ci": ("render-ci",),
    "process-spack-pipeline": (
        *("process-spack-pipeline", "--architecture", "amd64"),
        *("--pipeline-dir", "{root}/recorded", "--out-dir", "{out}"),
    ),
    "generate-spacktainer-workflow": (
        *("generate-spacktainer-workflow", "--architecture", "amd64", "--offline"),
        *("--environments", "{root}/jobs_scratch_dir.amd64", "--out-dir", "{out}"),
    ),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_what_gitlab_would_refuse_is_not_written(tmp_path: Path, name: str) -> None:
    root, out = tmp_path / "repository", tmp_path / "out"
    files = {
        "spack.yaml": TEMPLATE,
        "container_definitions/amd64/hdf5.yaml": "spack:\n  specs: [hdf5@1.14 +mpi, zlib]\n",
    }
    write_repository(root, files, SITE + "gitlab: {limits: {max_yaml_depth: 2}}\n")
    shutil.copytree(RECORDINGS / "spack-1.1" / "hdf5-tools", root / "recorded" / "hdf5-tools")
    write_environment(root / "jobs_scratch_dir.amd64" / "hdf5")
    words = [word.format(root=root, out=out) for word in COMMANDS[name]]
    result = CliRunner().invoke(main, ["-C", str(root), *words], catch_exceptions=False)
    assert result.exit_code == ExitCode.LIMIT_EXCEEDED, result.output
    assert "YAML depth" in result.stderr
    assert "of 2" in result.stderr
    assert not list(tmp_path.rglob("*pipeline.yaml"))
    assert not (root / ".gitlab-ci.yml").exists()
