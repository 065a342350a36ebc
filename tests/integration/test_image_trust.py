"""What may be pushed to a registry by anyone, and what the default branch makes of it: a real registry, real keys.

A job of any branch can push to every repository and tag. Base images run with keys, so the default branch uses only
what a trusted key signed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from foundation.errors import ExitCode
from foundation.registries.artifacts import put_annotations, read_annotations
from foundation.registries.connections import RegistryConnections
from foundation.registries.copies import take_image
from foundation.registries.images import RegistryClient
from foundation.registries.published import Query
from foundation.yaml_io import parse
from job_creator.engines.gitlab.objects import expand
from job_creator.provenance.namespaces import statement_reference
from job_creator.provenance.registry import ARTIFACT_TYPE
from tests.commands import jc
from tests.integration.registry_server import (
    GROUP,
    Registry,
    TokenService,
    delete_manifest,
    push_image,
    read_manifest,
    run_registry,
)
from tests.integration.signing_keys import KeyPair, key_pair
from tests.samples import BRANCH, DEFAULT_BRANCH, MERGE_REQUEST, SITE, write_repository

pytestmark = pytest.mark.usefixtures("components")

IMAGES = ("builder", "runtime", "singularitah")
DEFINITION = "spack:\n  specs: [hdf5]\n"


@dataclass(frozen=True)
class Repository:
    """A repository whose images go to a registry that everybody may push to."""

    root: Path
    registry: Registry
    group: str
    keys: KeyPair

    def environment(self, run: Mapping[str, str] = DEFAULT_BRANCH, **more: str) -> dict[str, str]:
        """The variables of a job that has both halves of the key, unless some are set to nothing."""
        assert self.registry.tokens is not None
        folder = self.root.parent
        (folder / "private").write_bytes(self.keys.private)
        (folder / "public").write_bytes(self.keys.public)
        return {
            **run,
            "CI_REGISTRY_USER": self.registry.tokens.user,
            "CI_REGISTRY_PASSWORD": self.registry.tokens.password,
            "SPACK_DEPLOYMENT_KEY_PRIVATE": str(folder / "private"),
            "SPACK_DEPLOYMENT_KEY_PUBLIC": str(folder / "public"),
            **more,
        }

    def jc(self, *arguments: str, environment: dict[str, str] | None = None) -> Result:
        """Run a command in the repository."""
        return jc("-C", str(self.root), *arguments, environment=environment or self.environment())

    def decisions(self, run: Mapping[str, str] = DEFAULT_BRANCH, **more: str) -> dict[str, tuple[str, str]]:
        """Action and reason for each base image."""
        result = self.jc("plan", "--json", environment=self.environment(run, **more))
        assert result.exit_code == 0, result.output
        found = json.loads(result.stdout)["decisions"]
        return {one["name"]: (one["action"], one["reason"]) for one in found if one["subject"] == "base image"}

    def jobs(self, run: Mapping[str, str] = DEFAULT_BRANCH, **more: str) -> dict[str, Any]:
        """The base pipeline, which anybody can have written."""
        out = self.root.parent / "out"
        result = self.jc("create-jobs", "-o", str(out / "p.yaml"), environment=self.environment(run, **more))
        assert result.exit_code == 0, result.output
        return expand(parse((out / "p.yaml").read_bytes(), "p").value)

    def forge(self, run: Mapping[str, str] = DEFAULT_BRANCH, marker: str = "evil") -> dict[str, tuple[str, str]]:
        """Empty images with the right labels under the right tags: the repository and digest of each."""
        found: dict[str, tuple[str, str]] = {}
        forced = [word for name in IMAGES for word in ("--force", name)]
        out = self.root.parent / "forged"
        result = self.jc("create-jobs", *forced, "-o", str(out / "p.yaml"), environment=self.environment(run))
        assert result.exit_code == 0, result.output
        jobs = expand(parse((out / "p.yaml").read_bytes(), "p").value)
        for name in IMAGES:
            job = jobs[f"build {name} for amd64"]
            (script,) = job["script"]
            words = shlex.split(script[script.index("--label") :].partition('--label "org')[0].replace("\\\n", " "))
            labels = dict(word.split("=", 1) for word in words if word != "--label")
            repository, _, tag = job["variables"]["IMAGE"].rpartition(":")
            where = repository.partition("/")[2]
            digest = push_image(self.registry, where, tag, "amd64", labels, config={"Env": [f"MARKER={marker}"]})
            found[name] = repository, digest
        return found

    def fingerprints(self) -> dict[str, str]:
        """What the images are made from."""
        forced = [word for name in IMAGES for word in ("--force", name)]
        out = self.root.parent / "signed"
        result = self.jc("create-jobs", *forced, "-o", str(out / "p.yaml"))
        assert result.exit_code == 0, result.output
        jobs = expand(parse((out / "p.yaml").read_bytes(), "p").value)
        return {name: jobs[f"sign {name} for amd64"]["variables"]["FINGERPRINT"] for name in IMAGES}

    def sign(self, image: str, fingerprint: str, environment: dict[str, str] | None = None) -> Result:
        """What the job does that signs a base image."""
        about = ("--kind", "base image", "--architecture", "amd64", "--fingerprint", fingerprint)
        return self.jc("sign-image", image, *about, environment=environment)

    def connections(self) -> RegistryConnections:
        """The registry, for whoever may push to it."""
        return RegistryConnections(self.registry.credentials)


@pytest.fixture(scope="module")
def registry(components: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with run_registry(tmp_path_factory.mktemp("registry"), TokenService()) as running:
        yield running


@pytest.fixture(scope="module")
def keys(components: None) -> KeyPair:
    return key_pair()


@pytest.fixture
def repository(registry: Registry, keys: KeyPair, tmp_path: Path) -> Repository:
    remote = tmp_path / "remote"
    identity = {
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@b",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@b",
    }
    for command in (
        ["init", "--quiet", "-b", "main", str(remote)],
        ["-C", str(remote), "commit", "-m", "x", "--allow-empty"],
    ):
        subprocess.run(["git", *command], check=True, capture_output=True, env={**os.environ, **identity})
    group = f"{GROUP}{tmp_path.name.replace('_', '-')}".lower().rstrip("-")
    text = SITE.replace("registry.example.org/group/containers", f"{registry.host}/{group}")
    text = text.replace("ref: v1.1.0", f'ref: main\n  version: "1.1"\n  repository: "{remote.as_uri()}"')
    text = text.replace(
        "https://git.example.org/spack-packages.git, ref: v2025.11.0", f'"{remote.as_uri()}", ref: main'
    )
    files = {"container_definitions/amd64/hdf5.yaml": DEFINITION}
    root = write_repository(tmp_path / "repository", files, text)
    return Repository(root, registry, group, keys)


def test_forged_images_are_built_anew(repository: Repository) -> None:
    """The attack: empty images with the right labels under the tags that the default branch asks for."""
    repository.forge()
    assert set(repository.decisions().values()) == {("build", "what is published is not signed")}
    assert {f"build {name} for amd64" for name in IMAGES} <= repository.jobs().keys()


def test_without_a_key_they_are_used_and_the_plan_says_that_nothing_is_proven(repository: Repository) -> None:
    repository.forge()
    found = repository.decisions(SPACK_DEPLOYMENT_KEY_PUBLIC="", SPACK_DEPLOYMENT_KEY_PRIVATE="")
    why = (
        "published and up to date; not proven: SPACK_DEPLOYMENT_KEY_PUBLIC is not set, so no signature can be verified"
    )
    assert found["runtime"] == found["singularitah"] == ("reuse", why)


def test_what_the_job_signed_is_used_by_its_digest(repository: Repository) -> None:
    images, fingerprints = repository.forge(marker="good"), repository.fingerprints()
    for name, (where, digest) in images.items():
        result = repository.sign(f"{where}@{digest}", fingerprints[name])
        assert result.exit_code == 0, result.output
    for run in (DEFAULT_BRANCH, BRANCH, MERGE_REQUEST):
        assert set(repository.decisions(run).values()) == {("reuse", "published and up to date, and signed")}
        jobs = repository.jobs(run)
        where, digest = images["builder"]
        pinned = f"{where}@{digest}"
        assert jobs["generate build cache population job for hdf5 for amd64"]["image"]["name"] == pinned
        assert jobs["process spack pipeline for amd64"]["variables"]["BUILDER_IMAGE"] == pinned
    # Somebody pushes another one under the same tag.
    repository.forge(marker="evil")
    assert set(repository.decisions().values()) == {("build", "what is published is not signed")}


def test_a_statement_that_belongs_to_something_else_proves_nothing(repository: Repository) -> None:
    old, fingerprints = repository.forge(marker="old"), repository.fingerprints()
    here = repository.connections()

    def lies(name: str, there: tuple[str, str], here_: tuple[str, str]) -> str:
        """Put the statement of one image beside another."""
        source = statement_reference(*here_)
        said = read_annotations(here, [source], ARTIFACT_TYPE)[source]
        assert said
        put_annotations(here, statement_reference(*there), ARTIFACT_TYPE, said)
        return repository.decisions()[name][1]

    for name, (where, digest) in old.items():
        assert repository.sign(f"{where}@{digest}", fingerprints[name]).exit_code == 0
    new = repository.forge(marker="new")
    said = lies("builder", new["builder"], old["builder"])
    assert said == f"what is published is signed as another image: {old['builder'][1]}"
    said = lies("runtime", new["runtime"], old["builder"])
    assert said == f"what is published is signed as another image: {old['builder'][1]}"


def test_signatures_of_others_and_damaged_ones_prove_nothing(repository: Repository) -> None:
    images, fingerprints = repository.forge(), repository.fingerprints()
    where, digest = images["runtime"]
    other = key_pair("Somebody")
    path = repository.root.parent / "other"
    path.write_bytes(other.private)
    stranger = repository.environment(SPACK_DEPLOYMENT_KEY_PRIVATE=str(path), SPACK_DEPLOYMENT_KEY_PUBLIC="")
    assert repository.sign(f"{where}@{digest}", fingerprints["runtime"], stranger).exit_code == 0
    assert repository.decisions()["runtime"] == (
        "build",
        "what is published is signed by a key that is not the site's",
    )
    here, place = repository.connections(), statement_reference(where, digest)
    assert repository.sign(f"{where}@{digest}", fingerprints["runtime"]).exit_code == 0
    said = read_annotations(here, [place], ARTIFACT_TYPE)[place]
    (statement,) = (name for name in said if name.endswith("statement"))
    for changed, reason in (
        ({statement: said[statement].replace("refs/heads/main", "refs/heads/nain")}, "is not what was signed"),
        ({name: text for name, text in said.items() if name == statement}, "is not signed"),
        ({**said, statement: ""}, "is not what was signed"),
        ({name: text * 2 for name, text in said.items() if name != statement}, "is not signed"),
    ):
        merged = changed if len(changed) != 1 or reason == "is not signed" else {**said, **changed}
        put_annotations(here, place, ARTIFACT_TYPE, merged)
        assert repository.decisions()["runtime"] == ("build", f"what is published {reason}")


def test_the_signature_of_a_key_that_has_expired_proves_nothing(repository: Repository, registry: Registry) -> None:
    old = Repository(
        repository.root, registry, repository.group, key_pair("Old", expires="20200201T000000", made="20200101T000000")
    )
    images, fingerprints = old.forge(), old.fingerprints()
    where, digest = images["runtime"]
    result = old.sign(f"{where}@{digest}", fingerprints["runtime"])
    assert result.exit_code == ExitCode.REFUSED
    assert "has expired" in result.output
    faked = repository.root.parent / "gpg"
    signed = _signed_in_the_past(faked, old.keys, where, digest, fingerprints["runtime"])
    put_annotations(old.connections(), statement_reference(where, digest), ARTIFACT_TYPE, signed)
    said = "what is published is signed by a key that has expired, or the signature has"
    assert old.decisions()["runtime"] == ("build", said)


def test_the_default_branch_does_not_read_what_branches_have(repository: Repository) -> None:
    found = repository.forge(BRANCH)
    assert all("/branches__" in where for where, _ in found.values())
    assert {action for action, _ in repository.decisions().values()} == {"build"}
    assert {action for action, _ in repository.decisions(BRANCH).values()} == {"reuse"}
    # Not even with a statement of a branch that had the key.
    fingerprints = repository.fingerprints()
    for name, (where, digest) in found.items():
        assert repository.sign(f"{where}@{digest}", fingerprints[name], repository.environment(BRANCH)).exit_code == 0
    assert {action for action, _ in repository.decisions().values()} == {"build"}


def test_what_cannot_be_signed_or_believed_is_not_signed(repository: Repository) -> None:
    images, fingerprints = repository.forge(), repository.fingerprints()
    where, digest = images["builder"]
    image, right = f"{where}@{digest}", fingerprints["builder"]
    other = repository.root.parent / "other"
    other.write_bytes(key_pair("Somebody").private)
    cases: tuple[tuple[str, str, dict[str, str], ExitCode, str], ...] = (
        (image, right, repository.environment(MERGE_REQUEST), ExitCode.REFUSED, "merge request"),
        (image, right, repository.environment(SPACK_DEPLOYMENT_KEY_PRIVATE=""), ExitCode.NOT_READY, "is not set"),
        (image, "0" * 64, repository.environment(), ExitCode.REFUSED, "it is not signed"),
        (f"{where}@sha256:{'0' * 64}", right, repository.environment(), ExitCode.NOT_THERE, "no such image"),
        (f"{where}:1", right, repository.environment(), ExitCode.USAGE, "by its digest"),
        (image, "short", repository.environment(), ExitCode.USAGE, "64 hex digits"),
        (
            image,
            right,
            repository.environment(SPACK_DEPLOYMENT_KEY_PRIVATE=str(other)),
            ExitCode.REFUSED,
            "do the two halves of the key belong together?",
        ),
    )
    for which, fingerprint, environment, code, said in cases:
        result = repository.sign(which, fingerprint, environment)
        assert (result.exit_code, said in result.output) == (code, True), result.output
        assert not re.search("BEGIN PGP PRIVATE", result.output)
    assert repository.decisions()["builder"] == ("build", "what is published is not signed")


def _signed_in_the_past(home: Path, keys: KeyPair, where: str, digest: str, fingerprint: str) -> dict[str, str]:
    """What somebody signed while the key was good, or had a clock that said so."""
    from job_creator.provenance.registry import _SIGNATURE, _STATEMENT
    from job_creator.provenance.statements import Statement, StatementKind

    statement = Statement(
        StatementKind.BASE_IMAGE, digest, where, "amd64", fingerprint, "refs/heads/main", True
    ).to_bytes()
    home.mkdir(mode=0o700)
    gpg = ["gpg", "--homedir", str(home), "--batch", "--faked-system-time", "20200115T000000!"]
    subprocess.run([*gpg, "--import"], input=keys.private, check=True, capture_output=True)
    done = subprocess.run([*gpg, "--armor", "--detach-sign"], input=statement, check=True, capture_output=True)
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True, capture_output=True)
    return {_STATEMENT: statement.decode(), _SIGNATURE: done.stdout.decode()}


def test_an_older_image_that_was_signed_can_come_back(repository: Repository) -> None:
    """What the docs say that is not protected: both were made from the same, and both were signed."""
    fingerprints = repository.fingerprints()
    for marker in ("old", "new"):
        for name, (where, digest) in repository.forge(marker=marker).items():
            assert repository.sign(f"{where}@{digest}", fingerprints[name]).exit_code == 0
    repository.forge(marker="old")
    assert {action for action, _ in repository.decisions().values()} == {"reuse"}


def test_the_public_key_may_be_a_file_of_the_repository(repository: Repository) -> None:
    (repository.root / "keys").mkdir()
    path = repository.root / "keys" / "public.asc"
    path.write_bytes(repository.keys.public)
    site = repository.root / "spacktainers.yaml"
    site.write_text(site.read_text() + "signing: {public_key: keys/public.asc}\n")
    images, fingerprints = repository.forge(), repository.fingerprints()
    assert repository.decisions(SPACK_DEPLOYMENT_KEY_PUBLIC="")["runtime"] == (
        "build",
        "what is published is not signed",
    )
    for name, (where, digest) in images.items():
        environment = repository.environment(SPACK_DEPLOYMENT_KEY_PUBLIC="")
        done = repository.sign(f"{where}@{digest}", fingerprints[name], environment)
        assert done.exit_code == 0, done.output
    signed = ("reuse", "published and up to date, and signed")
    assert set(repository.decisions(SPACK_DEPLOYMENT_KEY_PUBLIC="").values()) == {signed}
    jobs = {name: job for name, job in repository.jobs().items() if "SPACK_DEPLOYMENT_KEY_PUBLIC" in str(job["script"])}
    assert jobs
    assert {job["variables"]["SPACK_DEPLOYMENT_KEY_PUBLIC"] for job in jobs.values()} == {
        "$CI_PROJECT_DIR/keys/public.asc"
    }
    # A variable goes before it: whoever may set those of a project.
    other = repository.root.parent / "other"
    other.write_bytes(key_pair("Somebody").public)
    found = repository.decisions(SPACK_DEPLOYMENT_KEY_PUBLIC=str(other))
    assert found["runtime"] == ("build", "what is published is signed by a key that is not the site's")
    for content, said in (
        (repository.keys.private, "has a private key in it"),
        (b"no key", "has no public key in armor"),
        (None, "there is no keys/public.asc in the repository"),
    ):
        path.unlink(missing_ok=True)
        if content:
            path.write_bytes(content)
        done = repository.jc("check")
        assert (done.exit_code, said in done.output) == (ExitCode.INVALID_INPUT, True), done.output
    (repository.root.parent / "outside").write_bytes(repository.keys.public)
    path.symlink_to(repository.root.parent / "outside")
    assert repository.jc("check").exit_code == ExitCode.INVALID_INPUT


def test_what_was_removed_is_built_again(repository: Repository) -> None:
    images, fingerprints = repository.forge(), repository.fingerprints()
    for name, (where, digest) in images.items():
        assert repository.sign(f"{where}@{digest}", fingerprints[name]).exit_code == 0
    where, digest = images["builder"]
    delete_manifest(repository.registry, where.partition("/")[2], digest)
    put_annotations(repository.connections(), statement_reference(*images["runtime"]), ARTIFACT_TYPE, {})
    found = repository.decisions()
    assert found["builder"][0] == "build"
    assert found["runtime"] == ("build", "what is published is not signed")
    assert found["singularitah"][0] == "reuse"


def test_tags_that_people_pull_lead_to_what_was_pushed_last(repository: Repository) -> None:
    """Jobs do not follow them."""
    images, fingerprints = repository.forge(marker="good"), repository.fingerprints()
    for name, (where, digest) in images.items():
        assert repository.sign(f"{where}@{digest}", fingerprints[name]).exit_code == 0
    where, digest = images["builder"]
    evil = push_image(repository.registry, where.partition("/")[2], "latest", "amd64", {})
    query = Query(f"{where}:latest", "amd64")
    (found,) = RegistryClient(repository.registry.credentials).look_up([query]).values()
    assert found is not None
    assert found.digest == evil
    jobs = repository.jobs()
    assert jobs["process spack pipeline for amd64"]["variables"]["BUILDER_IMAGE"] == f"{where}@{digest}"
    assert "tag builder" in jobs


def _container(repository: Repository, architecture: str, version: str = "1.14.5", **env: str) -> str:
    """The image of a container of this version as its pipeline pushed it; its digest."""
    labels = {
        "org.spacktainers.container_checksum": hashlib.sha256(f"{architecture} {version} {env}".encode()).hexdigest(),
        "org.opencontainers.image.version": version,
    }
    where = f"{repository.group}/hdf5"
    config = {"Env": [f"{name}={value}" for name, value in env.items()]}
    return push_image(repository.registry, where, f"{version}-{architecture}", architecture, labels, config=config)


def _sign_container(repository: Repository, digest: str, architecture: str, run: Mapping[str, str]) -> None:
    image = f"{repository.registry.host}/{repository.group}/hdf5@{digest}"
    (found,) = RegistryClient(repository.registry.credentials).look_up([Query(image, architecture)]).values()
    assert found is not None
    fingerprint = found.labels["org.spacktainers.container_checksum"]
    about = ("--kind", "container image", "--architecture", architecture, "--fingerprint", fingerprint)
    done = repository.jc("sign-image", image, *about, environment=repository.environment(run))
    assert done.exit_code == 0, done.output


def _tag(repository: Repository, *sources: str) -> Any:
    """What the job does that lets the tag of all architectures point somewhere."""
    target = f"{repository.registry.host}/{repository.group}/hdf5:1.14.5"
    options = ("tag-image", "--only-proven", "--skip-missing", "--json", target, *sources)
    done = repository.jc(*options)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_the_tag_of_all_architectures_holds_what_the_default_branch_signed(repository: Repository) -> None:
    own, other = _container(repository, "amd64"), _container(repository, "arm64")
    for digest, architecture in ((own, "amd64"), (other, "arm64")):
        _sign_container(repository, digest, architecture, DEFAULT_BRANCH)
    found = _tag(repository, own, "1.14.5-arm64")
    assert (found["digests"], found["left_out"]) == ({"amd64": own, "arm64": other}, {})
    again = read_manifest(repository.registry, f"{repository.group}/hdf5", found["digest"])
    assert {one["digest"] for one in again["manifests"]} == {own, other}
    # Somebody pushes under the tag of the other architecture: unsigned, signed on a branch, of another version, and for
    # the architecture whose image this pipeline has built.
    evil = _container(repository, "arm64", MARKER="evil")
    found = _tag(repository, own, "1.14.5-arm64")
    assert (found["digests"], found["left_out"]) == ({"amd64": own}, {"1.14.5-arm64": "is not signed"})
    _sign_container(repository, evil, "arm64", BRANCH)
    assert "not by the default branch" in _tag(repository, own, "1.14.5-arm64")["left_out"]["1.14.5-arm64"]
    old = _container(repository, "arm64", "1.12")
    _sign_container(repository, old, "arm64", DEFAULT_BRANCH)
    client = RegistryClient(repository.registry.credentials)
    base = f"{repository.registry.host}/{repository.group}/hdf5"
    take_image(client, f"{base}@{old}", [f"{base}:1.14.5-arm64"])
    assert _tag(repository, own, "1.14.5-arm64")["left_out"] == {"1.14.5-arm64": "is version 1.12"}
    push_image(repository.registry, f"{repository.group}/hdf5", "1.14.5-arm64", "amd64", {})
    assert _tag(repository, own, "1.14.5-arm64")["left_out"] == {"1.14.5-arm64": "is not signed"}


def test_without_keys_tags_are_followed_and_the_log_says_so(repository: Repository) -> None:
    own, other = _container(repository, "amd64"), _container(repository, "arm64")
    target = f"{repository.registry.host}/{repository.group}/hdf5:1.14.5"
    environment = repository.environment(SPACK_DEPLOYMENT_KEY_PUBLIC="")
    done = repository.jc("tag-image", "--only-proven", target, own, "1.14.5-arm64", environment=environment)
    assert done.exit_code == 0, done.output
    assert other in done.stdout
    assert "what tags lead to is not proven" in done.stderr
    # With keys, nothing is tagged where nothing is proven.
    assert repository.jc("tag-image", "--only-proven", target, "1.14.5-arm64").exit_code == ExitCode.REFUSED
