"""A rehearsal with a real Spack: toy packages, really built by `spack ci rebuild` in the generated jobs.

`SPACKTAINERS_SPACK_ROOT` names the root of a Spack since 1.0 (its boto3 at hand); `SPACK_PYTHON` and the like are
handed on.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from job_creator.errors import ExitCode
from tests.e2e.test_rehearsal import rehearse, repository
from tests.samples import REPOSITORY

ROOTS = [root for root in os.environ.get("SPACKTAINERS_SPACK_ROOT", "").split(":") if root]
TEMPLATE = """\
spack:
  repos: {toy: $REHEARSAL_CHECKOUT/tests/spack_repo/toy}
  concretizer: {unify: true, reuse: false}
  config: {install_tree: {root: /opt/software, padded_length: 128}}
  view: false
"""

pytestmark = [
    pytest.mark.usefixtures("components"),
    pytest.mark.skipif(not ROOTS, reason="SPACKTAINERS_SPACK_ROOT names no Spack"),
]


@pytest.mark.parametrize("spack", ROOTS)
def test_packages_are_built_signed_and_found_again(spack: str, tmp_path: Path) -> None:
    root = repository(tmp_path / "repository")
    (root / "spack.yaml").write_text(TEMPLATE)
    shutil.copytree(REPOSITORY / "tests" / "data" / "toy_repo" / "spack_repo", root / "tests" / "spack_repo")
    for architecture in ("amd64", "arm64"):
        folder = root / "container_definitions" / architecture
        (folder / "compress.yaml").write_text("spack: {specs: [app-x]}\n")
        (folder / "other.yaml").write_text("spack: {specs: [libb, tool-e]}\n")
    shared = {name: value for name, value in os.environ.items() if name.startswith("SPACK_")}
    done = rehearse(root, tmp_path / "run", "--again", environment={**shared, "SPACK_ROOT": spack})
    assert done.exit_code == ExitCode.OK, done.printed
    first, second = done.result["runs"]
    assert (first["built"], first["reused"]) == ({"amd64": 4, "arm64": 4}, {"amd64": 0, "arm64": 0})
    # Spack itself found them in the cache, signed by the key of the rehearsal, and generated nothing.
    assert (second["built"], second["reused"]) == ({}, {"amd64": 4, "arm64": 4})
    assert "with the Spack of SPACK_ROOT" in done.printed
    states = tmp_path / "run" / "checkout" / ".rehearsal"
    logs = "".join(path.read_text(errors="replace") for path in states.glob("*/output/app-x*"))
    assert "Pushed" in logs or "pushed" in logs
