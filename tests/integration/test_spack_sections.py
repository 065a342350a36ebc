"""Files that travel with an environment, in a real Spack: concretized in one checkout, built in another, installed.

`SPACKTAINERS_SPACK_ROOT` names the root of a working Spack, as in `test_spack.py`. The package has no sources.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from foundation.yaml_io import dump
from job_creator.containers.identity import Container
from job_creator.engines.gitlab.base_pipeline import BasePlan, Inputs, plan
from job_creator.engines.gitlab.names import environment_job
from job_creator.environments.concrete import ConcreteEnvironment
from job_creator.environments.setting import DESTINATION
from job_creator.images.base_images import ImageSources
from job_creator.images.knowledge import Knowledge
from job_creator.inputs import read_all
from job_creator.project_files import BASE_IMAGES, merged_environment
from job_creator.site.run import Context
from tests.containers import container
from tests.integration.real_spack import ROOTS
from tests.samples import DEFAULT_BRANCH, SITE, TEMPLATE, write_repository

pytestmark = [
    pytest.mark.usefixtures("components"),
    pytest.mark.skipif(not ROOTS, reason="SPACKTAINERS_SPACK_ROOT names no Spack"),
]

NAME = "tool-set"
FOLDER = f"container_definitions/amd64/{NAME}"
BASE = "from spack_repo.builtin.build_systems.generic import Package\n"
RECIPE = """\
from spack.package import *
{base}

class TinyLib(Package):
    has_code = False
    version("1.1")
    version("1.0")

    def install(self, spec, prefix):
        mkdirp(prefix.bin)
        touch(join_path(prefix.bin, "tiny"))
"""


def _run(root: str, checkout: Path, script: str, **variables: str) -> str:
    """What the script of a job prints that has this checkout, with Spack set up."""
    environment = {
        **os.environ,
        "SPACK_ROOT": root,
        "CI_PROJECT_DIR": str(checkout),
        "CI_JOB_NAME": environment_job(NAME, "amd64"),
        "CI_PIPELINE_ID": "4711",
        **variables,
    }
    text = f". {root}/share/spack/setup-env.sh\n{script}"
    command = ["bash", "-ec", text]
    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def _repository(line: str, root: Path, software: Path) -> BasePlan:
    """A repository with one definition, its recipes and an included file, and what is planned for it."""
    site = SITE.replace("compiler: gcc@13", "runner_tags: [x]").replace("    target: x86_64_v3\n", "")
    site = site.replace("ref: v1.1.0", f"ref: any\n  version: '{line}'")
    recipes, name, base, repos = "spack_repo/own", "tiny_lib", BASE, "{own: ./spack_repo/own}"
    repo = "repo: {namespace: own, api: v2.0}\n"
    if line.startswith("0."):
        site = re.sub(r"  packages: .*\n", "", site)
        recipes, name, base, repos = "recipes", "tiny-lib", "", "[./recipes]"
        repo = "repo: {namespace: own}\n"
    files = {
        "spack.yaml": TEMPLATE.replace("/opt/software", str(software)),
        f"{FOLDER}/spack.yaml": "spack:\n  include: [settings.yaml]\n  view: false\n  specs: [tiny-lib]\n",
        f"{FOLDER}/settings.yaml": f"repos: {repos}\npackages: {{tiny-lib: {{require: '@1.0'}}}}\n",
        f"{FOLDER}/{recipes}/repo.yaml": repo,
        f"{FOLDER}/{recipes}/packages/{name}/package.py": RECIPE.format(base=base),
    }
    written = read_all(write_repository(root, files, site), "spacktainers.yaml")
    inputs = Inputs(
        written.site,
        Context.from_environment(DEFAULT_BRANCH),
        written.template,
        written.definitions,
        ImageSources(dict.fromkeys(BASE_IMAGES, ""), "c" * 40, "d" * 40),
    )
    return plan(inputs, Knowledge(None))


@pytest.mark.parametrize("root", ROOTS)
def test_what_lies_beside_a_definition_is_found_in_all_three_places(root: str, tmp_path: Path) -> None:
    first, second, software, mirror = (tmp_path / name for name in ("first", "second", "software", "mirror"))
    version = re.match(r"\d+\.\d+", _run(root, tmp_path, "spack --version"))
    assert version
    built = _repository(version[0], first, software)
    environment: Any = built.environments[merged_environment(NAME, "amd64")]
    environment["spack"]["mirrors"][DESTINATION] = {"url": mirror.as_uri()}
    (first / merged_environment(NAME, "amd64")).write_text(dump(environment))

    # The job that concretizes, in its scratch folder.
    job = built.pipeline.job(environment_job(NAME, "amd64"))
    _run(root, first, "\n".join(job.script), ARCHITECTURE="amd64", CONTAINER=NAME)
    concrete = second / "jobs_scratch_dir.amd64" / NAME / "concrete_environment"
    shutil.move(first, second)
    nodes = json.loads((concrete / "spack.lock").read_bytes())["concrete_specs"].values()
    assert ("tiny-lib", "1.0", "own") in {(one["name"], one["version"], one["namespace"]) for one in nodes}

    # The job of a package, in a checkout of its own.
    push = f"spack -e {concrete} buildcache push --unsigned --update-index {mirror.as_uri()}"
    _run(root, second, f"spack -e {concrete} install\n{push}")
    assert [path.name for path in software.rglob("tiny")] == ["tiny"]
    shutil.rmtree(software)

    # The image, which has no checkout: only what the Dockerfile copies.
    lock = (concrete / "spack.lock").read_bytes()
    found = ConcreteEnvironment.read(lock, (concrete / "spack.yaml").read_bytes(), str(concrete))
    image = tmp_path / "image"
    _copy(container(environment=found), second, image)
    (image / "spack.lock").write_bytes(lock)
    shutil.rmtree(second)
    _run(root, image, f"spack -e {image} install --only-concrete --no-add --cache-only --no-check-signature")
    assert [path.name for path in software.rglob("tiny")] == ["tiny"]


def _copy(made: Container, checkout: Path, image: Path) -> None:
    """What the Dockerfile copies into the folder of the environment, and the mirrors as one more section."""
    here = "/opt/spack-environment"
    copies = re.findall(r'^COPY \["(.*?)", "(.*?)"\]$', made.files["Dockerfile"].decode(), re.MULTILINE)
    for source, target in copies:
        if target.startswith(f"{here}/recipes/"):
            shutil.copytree(checkout / source, image / target.removeprefix(f"{here}/"))
    mirrors = f"  mirrors: {{{DESTINATION}: {image.parent.as_uri()}/mirror}}\n"
    (image / "spack.yaml").write_text(made.files["spack.yaml"].decode().replace(here, str(image)) + mirrors)
