"""The mirrors of a site file in a real Spack, which `SPACKTAINERS_SPACK_ROOT` names; see `test_spack.py`."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from foundation.spack.releases import SpackLine
from foundation.yaml_io import dump
from job_creator.engines.gitlab.base_pipeline import plan
from job_creator.images.knowledge import Knowledge
from tests.integration.real_spack import ROOTS
from tests.mirror_settings import with_mirrors
from tests.samples import BRANCH, DEFAULT_BRANCH, MERGE_REQUEST, SITE, inputs

pytestmark = [
    pytest.mark.usefixtures("components"),
    pytest.mark.skipif(not ROOTS, reason="SPACKTAINERS_SPACK_ROOT names no Spack"),
]


@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize("run", [DEFAULT_BRANCH, BRANCH, MERGE_REQUEST], ids=["default", "branch", "merge request"])
def test_spack_takes_the_mirrors_for_what_they_are(root: str, run: dict[str, str], tmp_path: Path) -> None:
    def spack(*arguments: str) -> str:
        variables = {**os.environ, "SPACK_DISABLE_LOCAL_CONFIG": "1", "SPACK_USER_CACHE_PATH": str(tmp_path / "cache")}
        command = [f"{root}/bin/spack", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, env=variables).stdout

    line = SpackLine.parse(spack("--version").split()[0].partition("-")[0])
    text = SITE.replace("v1.1.0", f"v{line}.0")
    if not line.recipes_apart:
        text = text.replace(
            "\n  packages: {repository: https://git.example.org/spack-packages.git, ref: v2025.11.0}", ""
        )
    built = plan(inputs(text=with_mirrors(text=text), environment=run), Knowledge(None, "not asked"))
    folder = tmp_path / "environment"
    folder.mkdir()
    (folder / "spack.yaml").write_text(dump(built.environments["merged_spack_hdf5_amd64.yaml"]))
    listed = [" ".join(line.split()) for line in spack("-D", str(folder), "mirror", "list").splitlines()]
    assert listed[-2:] == [
        "binary-mirror [ b] https://mirrors.example.org/binaries",
        "source-mirror [s ] s3://mirrors/sources",
    ]
    assert "padded_length: 200" in spack("-D", str(folder), "config", "get", "config")
