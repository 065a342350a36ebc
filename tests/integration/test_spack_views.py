"""Views of the index of a build cache, written by the job's own script with a Spack that knows them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from foundation.spack.layout_v3 import index_blob, read_manifest
from foundation.stores.store import Content
from job_creator.scripts.rendering import render
from tests.integration import recorded_cache
from tests.integration.real_spack import ROOTS

pytestmark = [
    pytest.mark.usefixtures("components"),
    pytest.mark.skipif(not ROOTS, reason="SPACKTAINERS_SPACK_ROOT names no Spack"),
]


@pytest.mark.parametrize("root", ROOTS)
def test_a_view_lists_what_its_container_has(root: str, tmp_path: Path) -> None:
    environment = {**os.environ, "SPACK_DISABLE_LOCAL_CONFIG": "1", "SPACK_USER_CACHE_PATH": str(tmp_path / "cache")}

    def run(script: str) -> subprocess.CompletedProcess[str]:
        setup = f". {root}/share/spack/setup-env.sh\n"
        return subprocess.run(["bash", "-ec", setup + script], env=environment, capture_output=True, text=True)

    if "--name" not in run("spack buildcache update-index --help").stdout:
        pytest.skip("this Spack knows no views")
    mirror, folder = tmp_path / "mirror", tmp_path / "concrete_environment"
    shutil.copytree(recorded_cache.CACHE, mirror)
    folder.mkdir()
    (folder / "spack.lock").write_bytes(recorded_cache.lockfile())
    (folder / "spack.yaml").write_text("spack: {specs: [app-x], view: false, ci: {pipeline-gen: []}}\n")
    # Twice, since the second time there is a view already.
    for _ in range(2):
        done = run(
            render("update_views.sh.j2", mirror=mirror.as_uri(), containers=[("tool-set", str(folder))], adds=False)
        )
        assert done.returncode == 0, done.stderr
    key = "v3/manifests/index/tool-set/index.manifest.json"
    blob = index_blob(read_manifest(Content((mirror / key).read_bytes(), ""), key))
    index = json.loads((mirror / blob).read_bytes())
    assert set(index["database"]["installs"]) == set(recorded_cache.nodes())
