"""`jc packages lock` with a real Spack, which has a few small packages to choose among."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from foundation.errors import ExitCode
from foundation.spack.lockfile import read_lockfile
from tests.commands import jc
from tests.integration.real_spack import ROOTS, alone
from tests.integration.tiny_spack import TinySpack
from tests.samples import SITE, TEMPLATE, write_repository

pytestmark = [
    pytest.mark.usefixtures("components"),
    pytest.mark.skipif(not ROOTS, reason="SPACKTAINERS_SPACK_ROOT names no Spack"),
]

GOOD = ["tiny-lib", "tiny-lib@1.0 flavour=rich", "tiny-app ^tiny-lib@2.0", "tiny-tool", "tiny-user ^tiny-openmpi"]
BAD = {
    "tiny-lib@9": "unsatisfiable",
    "tiny-user ^tiny-mpich@2.0": "unsatisfiable",
    "tiny-nothing": "unknown",
    "tiny-app ^tiny-nothing": "unknown",
    "tiny-lib colour=blue": "unknown",
}


def site_of(line: str) -> str:
    """A site that names no compiler and no target, for a release line."""
    site = SITE.replace("compiler: gcc@13", "runner_tags: [x]").replace("    target: x86_64_v3\n", "")
    site = site.replace("ref: v1.1.0", f"ref: any\n  version: '{line}'")
    lines = [text for text in site.splitlines() if not (line.startswith("0.") and text.startswith("  packages:"))]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("root", ROOTS)
def test_what_can_be_concretized_is_and_the_rest_has_its_class(root: str, tmp_path: Path) -> None:
    spack = TinySpack.made(root, tmp_path / "spack")
    definition = (
        f"spack:\n  specs: {json.dumps([*GOOD, *BAD])}\n  concretizer: {{unify: false, reuse: false}}\n"
        "spacktainer: {build_only: true}\n"
    )
    files = {"spack.yaml": TEMPLATE, "container_definitions/amd64/corpus.yaml": definition}
    repository = write_repository(tmp_path / "repository", files, site_of(str(spack.line)))
    locks = tmp_path / "locks"
    words = ["-C", str(repository), "packages", "lock", "amd64/corpus", "-o", str(locks), "--json", "--jobs", "2"]
    words += ["--spack", spack.program, "--scope", str(spack.folder / "configuration")]
    done = jc(*words, environment={**os.environ, **alone(spack.folder)})
    assert done.exit_code == ExitCode.OK, done.output
    assert json.loads(done.stdout)["locked"] == len(GOOD), (locks / "failures.jsonl").read_text()
    lines = (locks / "failures.jsonl").read_text().splitlines()
    failures = {one["specs"][0]: one for one in map(json.loads, lines)}
    found = {spec: failures[spec]["class"] for spec in failures}
    assert sorted(found.values()) == sorted(BAD.values()), failures
    assert all(one["message"] for one in failures.values())
    read = [read_lockfile(path.read_bytes(), str(path)) for path in locks.glob("*.lock")]
    made = {(lock.specs[lock.roots[0]].name, lock.specs[lock.roots[0]].version) for lock in read}
    assert {("tiny-lib", "2.1"), ("tiny-lib", "1.0"), ("tiny-user", "1.0")} < made
    assert all(len(lock.roots) == 1 for lock in read)

    # What builds them reads the folder, and finds no package twice.
    words = ["-C", str(repository), "build", str(locks), "--mirror", str(tmp_path / "mirror"), "--unsigned"]
    words += ["--spack", spack.program, "--scope", str(spack.folder / "configuration"), "--dry-run", "--json"]
    planned = jc(*words, environment={**os.environ, **alone(spack.folder)})
    assert planned.exit_code == ExitCode.OK, planned.output
    specs = {hash_: one for lock in read for hash_, one in lock.specs.items()}
    built = {hash_ for hash_, one in specs.items() if not one.is_external}
    assert json.loads(planned.stdout)["to_build"] == len(built)
