"""The scripts of the image jobs, run with a real buildah against a real registry."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from foundation.doors.files import list_files
from foundation.fingerprints import files_fingerprint, fingerprint
from foundation.registries.images import RegistryClient
from foundation.registries.published import Query
from foundation.yaml_io import parse
from job_creator.engines.gitlab.jobs.images import build_job, index_job
from job_creator.engines.gitlab.objects import Job
from job_creator.images.base_images import DecidedImage, ImageSources, base_image, decide, decide_index, questions
from job_creator.images.decisions import Action, compare_labels
from job_creator.images.knowledge import Knowledge
from job_creator.provenance.namespaces import Namespace
from job_creator.site.site import Site, read_site
from tests.integration.apptainer import newer_buildah_for
from tests.integration.components import require
from tests.integration.registry_server import (
    GROUP,
    Registry,
    TokenService,
    push_image,
    push_index,
    read_manifest,
    run_registry,
)
from tests.integration.runner import machine, read_dotenv, run_script
from tests.integration.same_images import buildah_is_reproducible, content, modes_of

ARCHITECTURES = ("amd64", "arm64")
TAG = "latest"
BASE = f"{GROUP}base"
CONTAINERS = f"{GROUP}containers"
IMAGE = f"{CONTAINERS}/runtime"
SITE = """\
registry:
  image: {host}/{containers}
  label_prefix: org.example.containers
spack:
  ref: v0.23.1
images:
  runtime:
    base: {host}/{base}:1
architectures:
  amd64:
    runner_tags: [amd64]
    build_cache:
      bucket: cache-amd64
  arm64:
    runner_tags: [arm64]
    build_cache:
      bucket: cache-arm64
"""


@dataclass(frozen=True)
class Project:
    """A checkout with one base image, the machine that its jobs run on, and the registry that they push to."""

    folder: Path
    machine: Mapping[str, str]
    registry: Registry
    site: Site

    def decided(self) -> tuple[DecidedImage, ...]:
        """What is to be done about the image of each architecture, as the registry is now."""
        files = files_fingerprint(list_files(self.folder / "runtime"))
        sources = ImageSources({"runtime": files}, spack_commit="c" * 40)
        registry = self.site.registry.image
        assert registry is not None
        images = [base_image("runtime", name, self.site, sources, Namespace(registry, True)) for name in ARCHITECTURES]
        knowledge = self.knowledge(questions(images, TAG))
        return tuple(decide(image, knowledge, TAG) for image in images)

    def knowledge(self, queries: Sequence[Query]) -> Knowledge:
        """What the registry says."""
        return Knowledge(RegistryClient(self.registry.credentials).look_up(queries))

    def index_action(self) -> Action:
        """What is to be done about the moving tag, as the registry is now."""
        decided = self.decided()
        return decide_index(decided, self.knowledge(questions([one.image for one in decided], TAG)), TAG).action

    def build(self, decided: DecidedImage) -> Job:
        """The job that builds an image."""
        return build_job(decided, self.site.architectures[decided.image.architecture], self.site)

    def index(self, decided: Sequence[DecidedImage]) -> Job:
        """The job that sets the moving tag."""
        return index_job(decided, self.site.architectures["amd64"], self.site, TAG)

    def run(self, job: Job, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a job's script as the runner's shell does."""
        assert not [value for value in job.variables.values() if "$" in value]
        return run_script(job.script, self.folder, {**self.machine, **job.variables, **variables})

    def succeed(self, job: Job, **variables: str) -> str:
        """Run a job that has to succeed. Returns what it printed."""
        done = self.run(job, **variables)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def handed_on(self, job: Job) -> dict[str, str]:
        """The variables that a job hands on to those that need it; GitLab reads them from the report."""
        assert job.artifacts is not None
        assert job.artifacts.dotenv is not None
        return read_dotenv(self.folder / job.artifacts.dotenv)

    def published(self, tag: str) -> dict[str, str]:
        """The digests that a tag has for each architecture."""
        content = read_manifest(self.registry, IMAGE, tag)
        return {member["platform"]["architecture"]: member["digest"] for member in content["manifests"]}


@pytest.fixture(scope="module")
def registry(components: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry behind a token service, with a base image for two architectures."""
    require("buildah")
    with run_registry(tmp_path_factory.mktemp("registry"), TokenService(), tls=True) as running:
        members = {name: push_image(running, BASE, name, name, {"from": "base"}) for name in ARCHITECTURES}
        push_index(running, BASE, "1", members)
        yield running


@pytest.fixture
def project(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    for spelling in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(spelling, "*")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(registry.certificate))
    folder = tmp_path / "project"
    (folder / "runtime").mkdir(parents=True)
    (folder / "runtime" / "Dockerfile").write_text("ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\nCOPY marker /marker\n")
    # Every test has an image of its own in the one registry.
    (folder / "runtime" / "marker").write_text(tmp_path.name)
    text = SITE.format(host=registry.host, containers=CONTAINERS, base=BASE)
    (folder / "spacktainers.yaml").write_text(text)
    here = {**machine(tmp_path / "machine", registry), "CI_REGISTRY_IMAGE": f"{registry.host}/{CONTAINERS}"}
    return Project(folder, here, registry, read_site(parse(text.encode(), "site")))


def test_a_built_image_is_found_with_exactly_its_labels_and_then_reused(project: Project) -> None:
    amd64 = project.decided()[0]
    assert amd64.is_built
    job = project.build(amd64)
    project.succeed(job)
    query = Query(amd64.image.reference, "amd64")
    found = RegistryClient(project.registry.credentials).look_up([query])[query]
    assert found is not None
    assert found.architecture == "amd64"
    assert found.labels == {
        **amd64.image.labels,
        "org.example.containers.fingerprint": fingerprint(amd64.image.labels),
        "org.opencontainers.image.source": "https://gitlab.example.org/group/containers",
        "from": "base",
        # Newer buildahs leave it out of what is to be reproducible.
        **{name: text for name, text in found.labels.items() if name == "io.buildah.version"},
    }
    assert compare_labels(amd64.image.labels, found.labels)[0] is Action.REUSE
    assert project.handed_on(job) == {"RUNTIME_AMD64_DIGEST": found.digest}
    again = project.decided()[0]
    assert (again.is_built, again.digest) == (False, found.digest)


@pytest.mark.parametrize("umask", [0o000, 0o077])
@pytest.mark.parametrize("newer", [False, True], ids=["this buildah", "a newer one"])
def test_another_build_of_the_same_files_gives_the_same_image(
    project: Project, tmp_path: Path, umask: int, newer: bool
) -> None:
    """In another folder and storage, at another time, from another commit, with other modes, on fewer processors."""
    if newer:
        program = newer_buildah_for(tmp_path, tmp_path.parent)
        if program is None:
            pytest.skip("no root folder has a newer buildah")
        found = {"PATH": f"{program.parent}:{os.environ['PATH']}", "CONTAINERS_CONF": f"{tmp_path}/containers.conf"}
        project = replace(project, machine={**project.machine, **found})
    # Compressed in many blocks.
    (project.folder / "runtime" / "marker").write_bytes(random.Random(umask).randbytes(1 << 20) * 24)
    (project.folder / "runtime" / "program").write_text("#!/bin/sh\n")
    (project.folder / "runtime" / "program").chmod(0o755)
    dockerfile = project.folder / "runtime" / "Dockerfile"
    dockerfile.write_text(f"{dockerfile.read_text()}COPY program /program\n")
    amd64 = project.decided()[0]
    job = project.build(amd64)
    project.succeed(job)
    first = content(project.registry, IMAGE, amd64.image.tag)
    shutil.copytree(project.folder, tmp_path / "checked out elsewhere")
    for path in (tmp_path / "checked out elsewhere").rglob("*"):
        path.chmod((0o777 if path.is_dir() or path.stat().st_mode & 0o100 else 0o666) & ~umask)
        os.utime(path)
    elsewhere = {**machine(tmp_path / "elsewhere", project.registry), "CI_COMMIT_SHA": "e" * 40, "CI_JOB_ID": "4712"}
    elsewhere["PATH"] = project.machine["PATH"]
    again = replace(project, folder=tmp_path / "checked out elsewhere", machine={**project.machine, **elsewhere})
    script = replace(job, script=(f"umask {umask:o}", *job.script))
    again.succeed(script, GOMAXPROCS="1")
    assert content(project.registry, IMAGE, amd64.image.tag) == first
    if newer or buildah_is_reproducible():
        assert again.handed_on(job) == project.handed_on(job)
    modes = modes_of(project.registry, IMAGE, amd64.image.tag)
    assert {name: mode for name, mode in modes.items() if name in ("marker", "program")} == {
        "marker": 0o644,
        "program": 0o755,
    }


def test_an_image_of_other_files_is_built_anew_beside_the_published_one(project: Project) -> None:
    first = project.decided()[0]
    project.succeed(project.build(first))
    (project.folder / "runtime" / "marker").write_text("changed")
    changed = project.decided()[0]
    assert changed.is_built
    assert changed.image.reference != first.image.reference


def test_the_moving_tag_points_to_the_built_images_of_all_architectures(project: Project) -> None:
    decided = project.decided()
    jobs = [project.build(one) for one in decided]
    digests: dict[str, str] = {}
    for job in jobs:
        project.succeed(job)
        digests |= project.handed_on(job)
    project.succeed(project.index(decided), **digests)
    expected = {"amd64": digests["RUNTIME_AMD64_DIGEST"], "arm64": digests["RUNTIME_ARM64_DIGEST"]}
    assert project.published(TAG) == expected
    assert {one.image.architecture: one.digest for one in project.decided()} == expected
    assert project.index_action() is Action.REUSE


def test_the_moving_tag_keeps_a_reused_image_beside_a_new_one(project: Project) -> None:
    amd64, arm64 = project.decided()
    project.succeed(project.build(arm64))
    decided = project.decided()
    assert [one.is_built for one in decided] == [True, False]
    built = project.build(amd64)
    project.succeed(built)
    project.succeed(project.index(decided), **project.handed_on(built))
    after = project.decided()
    assert project.published(TAG) == {one.image.architecture: one.digest for one in after}
    assert project.index_action() is Action.REUSE


def test_the_moving_tag_of_one_architecture_is_an_index_too(project: Project) -> None:
    job = project.build(project.decided()[0])
    project.succeed(job)
    project.succeed(project.index(project.decided()[:1]))
    assert project.published(TAG) == {"amd64": project.handed_on(job)["RUNTIME_AMD64_DIGEST"]}


def test_jobs_that_are_run_again_leave_nothing_to_do(project: Project) -> None:
    decided = project.decided()
    for _ in range(2):
        digests: dict[str, str] = {}
        for one in decided:
            job = project.build(one)
            project.succeed(job)
            digests |= project.handed_on(job)
        project.succeed(project.index(decided), **digests)
    assert project.index_action() is Action.REUSE


def test_a_wrong_password_ends_the_jobs_before_anything_is_published(project: Project) -> None:
    decided = project.decided()
    wrong = replace(project, machine={**project.machine, "CI_REGISTRY_PASSWORD": "wrong"})
    refusals = {
        "invalid username/password": project.build(decided[0]),
        "HTTP Basic: Access denied": project.index(decided),
    }
    for words, job in refusals.items():
        done = wrong.run(job, RUNTIME_AMD64_DIGEST="sha256:0", RUNTIME_ARM64_DIGEST="sha256:0")
        assert done.returncode != 0
        assert words in done.stdout
    assert not list(project.folder.glob("*.env"))
    assert project.decided()[0].is_built


def test_a_missing_digest_ends_the_index_job(project: Project) -> None:
    done = project.run(project.index(project.decided()), RUNTIME_ARM64_DIGEST="sha256:0")
    assert done.returncode != 0
    assert "RUNTIME_AMD64_DIGEST: unbound variable" in done.stdout


def test_a_failing_build_ends_the_job_without_a_digest(project: Project) -> None:
    (project.folder / "runtime" / "marker").unlink()
    done = project.run(project.build(project.decided()[0]))
    assert done.returncode != 0
    assert not list(project.folder.glob("*.env"))


def test_the_password_is_in_no_output_and_no_image(project: Project) -> None:
    decided = project.decided()[0]
    job = project.build(decided)
    printed = project.succeed(job)
    password = project.machine["CI_REGISTRY_PASSWORD"]
    assert password not in printed
    assert password not in json.dumps(job.document())
    query = Query(decided.image.reference, "amd64")
    found = RegistryClient(project.registry.credentials).look_up([query])[query]
    assert found is not None
    assert password not in repr(found)
