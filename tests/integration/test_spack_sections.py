"""Files that travel with an environment, in a real Spack: concretized in one checkout, built in another, installed.

`SPACKTAINERS_SPACK_ROOT` names the root of a working Spack, as in `test_spack.py`. The package has no sources.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from foundation.spack.sections.section import Rule
from foundation.spack.sections.table import SECTIONS
from foundation.yaml_io import dump, parse
from job_creator.containers.identity import Container
from job_creator.engines.gitlab.base_pipeline import BasePlan, Inputs, plan
from job_creator.engines.gitlab.generated import read_generated
from job_creator.engines.gitlab.names import environment_job
from job_creator.environments.concrete import ConcreteEnvironment
from job_creator.environments.marks import unmarked
from job_creator.environments.mirror_names import DESTINATION
from job_creator.images.base_images import ImageSources
from job_creator.images.knowledge import Knowledge
from job_creator.inputs import read_all
from job_creator.project_files import BASE_IMAGES, merged_environment
from job_creator.site.run import Context
from tests.containers import container
from tests.integration.real_spack import ROOTS, alone
from tests.integration.tiny_spack import TinySpack
from tests.samples import DEFAULT_BRANCH, REPOSITORY, SITE, TEMPLATE, write_repository

pytestmark = [
    pytest.mark.usefixtures("components"),
    pytest.mark.skipif(not ROOTS, reason="SPACKTAINERS_SPACK_ROOT names no Spack"),
]

NAME = "tool-set"
FOLDER = f"container_definitions/amd64/{NAME}"
RECIPE = """\
from spack.package import *


class TinyLib(Package):
    has_code = False
    version("1.1")
    version("1.0")
    variant("extra", default=False)

    def install(self, spec, prefix):
        mkdirp(prefix.bin)
        touch(join_path(prefix.bin, "tiny"))
        if "+extra" in spec:
            touch(join_path(prefix.bin, "extra"))
"""


@pytest.fixture(params=ROOTS)
def spack(request: pytest.FixtureRequest, tmp_path: Path) -> TinySpack:
    return TinySpack.made(request.param, tmp_path / "spack")


def _run(spack: TinySpack, checkout: Path, script: str, **variables: str) -> str:
    """What the script of a job prints that has this checkout, with Spack set up."""
    done = _tried(spack, checkout, script, **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def _tried(spack: TinySpack, checkout: Path, script: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """What becomes of it, however it ends."""
    # Its configuration is a user's, as far as Spack knows, so that the environment is stronger.
    of_tests = {name: value for name, value in alone(spack.folder).items() if name != "SPACK_DISABLE_LOCAL_CONFIG"}
    environment = {
        **{name: value for name, value in os.environ.items() if name != "SPACK_DISABLE_LOCAL_CONFIG"},
        **of_tests,
        "SPACK_SYSTEM_CONFIG_PATH": str(spack.folder / "nothing"),
        "SPACK_USER_CONFIG_PATH": str(spack.folder / "configuration"),
        "SPACK_ROOT": spack.root,
        "CI_PROJECT_DIR": str(checkout),
        "CI_JOB_NAME": environment_job(NAME, "amd64"),
        "CI_PIPELINE_ID": "4711",
        # What a test may write to, other users do not get to.
        "SPACKTAINERS_SAME_USER": "yes",
        **variables,
    }
    text = f". {spack.root}/share/spack/setup-env.sh\n{script}"
    command = ["bash", "-ec", text]
    return subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)


BESIDE = "spack:\n  include: [settings.yaml]\n  view: false\n  specs: [tiny-lib]\n"
EVERYTHING = """\
spack:
  include: [settings.yaml]
  definitions:
  - libraries: [tiny-lib]
    when: platform == 'linux'
  specs: [$libraries]
  concretizer: {unify: when_possible}
  config: {build_jobs: 1, locks: true}
  view: {default: {root: /opt/all, link: roots, projections: {all: '{name}/{version}'}}}
  modules: {prefix_inspections: {bin: [TINY_PATH], ./: [TINY_PREFIXES]}}
  packages: {tiny-lib: {prefer: [+extra]}}
  mirrors:: {more: "https://cache.example.org/more"}
  container: {labels: {app: demo}, os_packages: {final: [tini]}}
  bootstrap: {enable: true}
  cdash: {build-group: nightly, url: "https://cdash.example.org", project: p, site: s}
  compilers: COMPILERS
  ci:
    rebuild-index: false
    pipeline-gen:
    - submapping:
      - match: [tiny-lib]
        build-job: {tags: [huge], timeout: 11 hours, variables: {OWN: "1"}}
"""
"""All sections that are no fault, but for `repos`, which the included file has, as it has more of `packages`."""
NEW_SECTIONS = """\
  toolchains: {gnu: [{spec: '%c=gcc', when: '%c'}]}
  env_vars: {set: {TINY: 'a b', PYTHONHOME: /nowhere}, prepend_path: {TINY_PATH: /own}, unset: [PYTHONPATH]}
"""


def _repository(line: str, root: Path, software: Path, definition: str = BESIDE, more: str = "") -> BasePlan:
    """A repository with one definition, its recipes and an included file, and what is planned for it."""
    site = SITE.replace("compiler: gcc@13", "runner_tags: [x]").replace("    target: x86_64_v3\n", "")
    site = site.replace("ref: v1.1.0", f"ref: any\n  version: '{line}'")
    # With signatures Spack would have to have GnuPG, or build it.
    site = site.replace("{bucket: cache-amd64,", "{bucket: cache-amd64, signed: false,")
    recipes, name, repos = "spack_repo/own", "tiny_lib", "{own: ./spack_repo/own}"
    repo = "repo: {namespace: own, api: v2.0}\n"
    if line.startswith("0."):
        site = re.sub(r"  packages: .*\n", "", site)
        recipes, name, repos = "recipes", "tiny-lib", "[./recipes]"
        repo = "repo: {namespace: own}\n"
    files = {
        "spack.yaml": TEMPLATE.replace("/opt/software", str(software)),
        f"{FOLDER}/spack.yaml": definition,
        f"{FOLDER}/settings.yaml": f"repos: {repos}\npackages: {{tiny-lib: {{require: '@1.0'}}}}\n",
        f"{FOLDER}/{recipes}/repo.yaml": repo,
        f"{FOLDER}/{recipes}/packages/{name}/package.py": RECIPE,
    }
    written = read_all(write_repository(root, files, site + more), "spacktainers.yaml")
    inputs = Inputs(
        written.site,
        Context.from_environment(DEFAULT_BRANCH),
        written.template,
        written.definitions,
        ImageSources(dict.fromkeys(BASE_IMAGES, ""), "c" * 40, "d" * 40),
    )
    return plan(inputs, Knowledge(None))


def test_what_lies_beside_a_definition_is_found_in_all_three_places(spack: TinySpack, tmp_path: Path) -> None:
    first, second, software, mirror = (tmp_path / name for name in ("first", "second", "software", "mirror"))
    built = _repository(str(spack.line), first, software)
    environment: Any = built.environments[merged_environment(NAME, "amd64")]
    environment["spack"]["mirrors"][DESTINATION] = {"url": mirror.as_uri()}
    _without_builtin(environment, spack)
    (first / merged_environment(NAME, "amd64")).write_text(dump(environment))

    # The job that concretizes, in its scratch folder.
    job = built.pipeline.job(environment_job(NAME, "amd64"))
    _run(spack, first, "\n".join(job.script), ARCHITECTURE="amd64", CONTAINER=NAME)
    concrete = second / "jobs_scratch_dir.amd64" / NAME / "concrete_environment"
    shutil.move(first, second)
    nodes = json.loads((concrete / "spack.lock").read_bytes())["concrete_specs"].values()
    assert ("tiny-lib", "1.0", "own") in {(one["name"], one["version"], one["namespace"]) for one in nodes}

    # The job of a package, in a checkout of its own.
    push = f"spack -e {concrete} buildcache push --unsigned --update-index {mirror.as_uri()}"
    _run(spack, second, f"spack -e {concrete} install\n{push}")
    assert [path.name for path in software.rglob("tiny")] == ["tiny"]
    shutil.rmtree(software)

    # The image, which has no checkout: only what the Dockerfile copies.
    lock = (concrete / "spack.lock").read_bytes()
    found = ConcreteEnvironment.read(lock, (concrete / "spack.yaml").read_bytes(), str(concrete))
    image = tmp_path / "image"
    _copy(container(environment=found), second, image)
    (image / "spack.lock").write_bytes(lock)
    shutil.rmtree(second)
    (image / "mirrors").mkdir()
    (image / "mirrors" / "mirrors.yaml").write_text(dump({"mirrors:": {DESTINATION: mirror.as_uri()}}))
    options = "--only-concrete --no-add --cache-only --no-check-signature"
    _run(spack, image, f"spack --config-scope {image}/mirrors -e {image} install {options}")
    assert [path.name for path in software.rglob("tiny")] == ["tiny"]


def test_an_older_runtime_image_is_told_by_the_job_that_concretizes(spack: TinySpack, tmp_path: Path) -> None:
    """The site file takes a newer distribution to build than to run: both versions are named, nothing is compiled."""
    images = "images: {builder: {base: 'ubuntu:24.04'}, runtime: {base: 'ubuntu:20.04'}}\n"
    built = _repository(str(spack.line), tmp_path / "checkout", tmp_path / "software", more=images)
    environment: Any = built.environments[merged_environment(NAME, "amd64")]
    environment["spack"]["mirrors"][DESTINATION] = {"url": (tmp_path / "mirror").as_uri()}
    _without_builtin(environment, spack)
    (tmp_path / "checkout" / merged_environment(NAME, "amd64")).write_text(dump(environment))
    job = built.pipeline.job(environment_job(NAME, "amd64"))
    assert {"build builder for amd64", "build runtime for amd64"} < {one.job for one in job.needs}
    variables = {"ARCHITECTURE": "amd64", "CONTAINER": NAME, "BUILDER_AMD64_LIBC": "glibc@2.39"}
    script = "\n".join(job.script)
    done = _tried(spack, tmp_path / "checkout", script, **variables, RUNTIME_AMD64_LIBC="glibc@2.31")
    assert done.returncode == 1
    assert "glibc@2.39" in done.stderr
    assert "glibc@2.31" in done.stderr
    assert f"{NAME} for amd64 cannot be built; the others go on" in done.stderr
    assert not list((tmp_path / "checkout").rglob("pipeline.yml"))


def test_all_sections_together_work_in_all_three_places(spack: TinySpack, tmp_path: Path) -> None:
    """What the table of sections calls usable, in one environment: concretized, generated, installed, activated."""
    first, second, software, mirror = (tmp_path / name for name in ("first", "second", "software", "mirror"))
    version = subprocess.run(["gcc", "-dumpfullversion"], check=True, capture_output=True, text=True).stdout.strip()
    paths = "{cc: /usr/bin/gcc, cxx: /usr/bin/g++, f77: null, fc: null}"
    system = _run(
        spack, tmp_path, "spack python -c 'from spack.spec import ArchSpec; print(ArchSpec.default_arch().os)'"
    )
    compiler = f"{{spec: gcc@{version}, operating_system: {system}, modules: [], paths: {paths}}}"
    definition = EVERYTHING.replace("COMPILERS", f"[{{compiler: {compiler}}}]")
    is_new = spack.line.compilers_are_dependencies
    built = _repository(str(spack.line), first, software, definition + (NEW_SECTIONS if is_new else ""))
    text = dump(built.environments[merged_environment(NAME, "amd64")]).replace("/opt/all", str(tmp_path / "all"))
    environment: Any = parse(text.encode(), "merged").value
    left_out = {
        "include",
        "env_vars",
        "toolchains",
        *(one.name for one in SECTIONS.values() if one.rule is Rule.REFUSED),
    }
    assert {unmarked(name) for name in environment["spack"]} >= SECTIONS.keys() - left_out
    mirrors = {DESTINATION: {"url": mirror.as_uri()}, "more": (tmp_path / "more").as_uri()}
    assert list(environment["spack"]["mirrors:"]) == [DESTINATION, "more"]
    environment["spack"]["mirrors:"] = mirrors
    (tmp_path / "more").mkdir()
    _without_builtin(environment, spack)
    (first / merged_environment(NAME, "amd64")).write_text(dump(environment))

    job = built.pipeline.job(environment_job(NAME, "amd64"))
    _run(spack, first, "\n".join(job.script), ARCHITECTURE="amd64", CONTAINER=NAME)
    scratch = Path("jobs_scratch_dir.amd64") / NAME
    shutil.move(first, second)
    generated = read_generated(NAME, "pipeline.yml", (second / scratch / "pipeline.yml").read_bytes())
    assert not generated.services
    [written] = [job.keywords for job in generated.jobs.values() if job.keywords["variables"]["OWN"]]
    assert "huge" in written["tags"]
    assert written["timeout"] == "11 hours"

    concrete = second / scratch / "concrete_environment"
    push = f"spack -e {concrete} buildcache push --unsigned --update-index {(tmp_path / 'more').as_uri()}"
    _run(spack, second, f"spack -e {concrete} install --no-check-signature\n{push}")
    lock = (concrete / "spack.lock").read_bytes()
    shutil.rmtree(software)
    (tmp_path / "all").unlink()
    found = ConcreteEnvironment.read(lock, (concrete / "spack.yaml").read_bytes(), str(concrete))
    made = container(environment=found)
    assert "app=demo" in made.files["labels"].decode().splitlines()
    read = parse(made.files["mirrors.yaml"], "mirrors.yaml").value
    assert read["mirrors:"]["more"] == mirrors["more"]
    image = tmp_path / "image"
    _copy(made, second, image)
    (image / "mirrors").mkdir()
    read["mirrors:"] |= mirrors
    (image / "mirrors" / "mirrors.yaml").write_text(dump(read))
    (image / "spack.lock").write_bytes(lock)
    shutil.rmtree(second)
    # Nothing is on the destination: what the further mirror has is installed.
    options = "--only-concrete --no-add --cache-only --no-check-signature"
    _run(spack, image, f"spack --config-scope {image}/mirrors -e {image} install {options}")
    seen = tmp_path / "all" / "tiny-lib" / "1.0"
    assert sorted(path.name for path in (seen / "bin").iterdir()) == ["extra", "tiny"]
    own = tmp_path / "own.json"
    own.write_text("{}")
    show = f"{sys.executable} {REPOSITORY}/spacktainer/image/environment.py {image} {own}"
    script = _run(spack, image, show)
    shown = subprocess.run(
        ["/bin/sh", "-euc", 'eval "$1"; exec /usr/bin/env', "sh", script],
        env={"PATH": "/usr/bin:/bin"},
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    variables = dict(one.split("=", 1) for one in shown)
    # As with Spack's own activation: the prefix of each root, the view as a whole, then what the environment says.
    assert variables["TINY_PREFIXES"].split(":") == [str(seen), str(tmp_path / "all")]
    own_path = ["/own"] if is_new else []
    assert variables["TINY_PATH"].split(":") == [f"{seen}/bin", str(tmp_path / "all" / "bin"), *own_path]
    if is_new:
        assert {"TINY=a b", "PYTHONHOME=/nowhere"} <= set(shown)


def _without_builtin(environment: Any, spack: TinySpack) -> None:
    """Only small packages to choose among, so that concretizing takes seconds."""
    repos, own = environment["spack"].pop("repos"), str(spack.recipes)
    environment["spack"]["repos:"] = [*repos, own] if isinstance(repos, list) else {**repos, "tiny": own}


def _copy(made: Container, checkout: Path, image: Path) -> None:
    """What the Dockerfile copies into the folder of the environment."""
    here = "/opt/spack-environment"
    copies = re.findall(r'^COPY \["(.*?)", "(.*?)"\]$', made.files["Dockerfile"].decode(), re.MULTILINE)
    for source, target in copies:
        if target.startswith(f"{here}/recipes/"):
            shutil.copytree(checkout / source, image / target.removeprefix(f"{here}/"))
    (image / "spack.yaml").write_text(made.files["spack.yaml"].decode().replace(here, str(image)))
