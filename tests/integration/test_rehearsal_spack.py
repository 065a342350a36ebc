"""A rehearsal with a real Spack: toy packages, really built by `spack ci rebuild` in the generated jobs.

`SPACKTAINERS_SPACK_ROOT` names the root of a Spack since 1.0 (its boto3 at hand); `SPACK_PYTHON` and the like are
handed on.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from foundation.errors import ExitCode
from tests.e2e.rehearsals import rehearse, repository
from tests.integration.real_spack import ROOTS
from tests.samples import REPOSITORY

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


def toys(folder: Path) -> Path:
    """A repository with environments of toy packages: four for each architecture."""
    root = repository(folder)
    (root / "spack.yaml").write_text(TEMPLATE)
    shutil.copytree(REPOSITORY / "tests" / "data" / "toy_repo" / "spack_repo", root / "tests" / "spack_repo")
    for architecture in ("amd64", "arm64"):
        definitions = root / "container_definitions" / architecture
        (definitions / "compress.yaml").write_text("spack: {specs: [app-x]}\n")
        (definitions / "other.yaml").write_text("spack: {specs: [libb, tool-e]}\n")
    return root


@pytest.mark.parametrize("spack", ROOTS)
def test_packages_are_built_signed_and_found_again(spack: str, tmp_path: Path) -> None:
    root = toys(tmp_path / "repository")
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


@pytest.mark.parametrize("spack", ROOTS)
def test_what_does_not_build_is_counted_and_the_index_is_written_all_the_same(spack: str, tmp_path: Path) -> None:
    """With a user cache that is cold: four jobs concretize at once, and none of them waits for another's index."""
    root = toys(tmp_path / "repository")
    recipe = root / "tests" / "spack_repo" / "toy" / "packages" / "libb" / "package.py"
    recipe.write_text(recipe.read_text().replace("mkdirp(prefix.bin)", 'raise InstallError("libb never builds")'))
    shared = {name: value for name, value in os.environ.items() if name.startswith("SPACK_")}
    shared |= {"SPACK_ROOT": spack, "SPACK_USER_CACHE_PATH": str(tmp_path / "cold")}
    done = rehearse(root, tmp_path / "run", environment=shared)
    assert done.exit_code == ExitCode.JOB_FAILED, done.printed
    (run,) = done.result["runs"]
    both = ("amd64", "arm64")
    # app-x needs libb, so nobody tries it.
    assert (run["built"], run["failed"]) == (dict.fromkeys(both, 2), dict.fromkeys(both, 1))
    assert (run["skipped"], run["reused"]) == (dict.fromkeys(both, 1), dict.fromkeys(both, 0))
    for architecture in both:
        jobs = done.pipelines()[f"populate buildcache for {architecture}"]["jobs"]
        assert jobs["rebuild-index"] == "success"
