"""Binaries of a real Spack on the hosts that mirrors have: pushed, verified and installed from, in seconds.

`SPACKTAINERS_SPACK_ROOT` names the root of a Spack 1.x with its recipes at hand. The packages are made of nothing
(`tests/data/toy_repo`). `tests/integration/mirror_site.py` has the folder that everything is written to.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from click.testing import CliRunner

from foundation.errors import ExitCode
from foundation.spack.lockfile import read_lockfile
from foundation.stores.s3_client import s3_client
from foundation.yaml_io import dump
from job_creator.proving.package_links import cached_specs
from job_creator.proving.shelves import open_shelf, papers_of
from job_creator.publishing.record import PublicationRecord
from spackitor.__main__ import main as tidy
from tests.commands import jc
from tests.integration.ceph import ceph_environment_fixture, ceph_url_fixture  # noqa: F401 - fixtures
from tests.integration.components import give_up, require
from tests.integration.mirror_site import MirrorSite, hashes
from tests.integration.real_spack import ROOTS
from tests.integration.registry_server import collect_garbage, push_image, read_blob, read_manifest, run_registry
from tests.integration.s3_server import new_bucket, s3_environment_fixture, s3_url_fixture  # noqa: F401 - fixtures
from tests.integration.sif_world import Inside, signed_sif
from tests.integration.signing_keys import key_pair
from tests.samples import REPOSITORY

RECIPES = REPOSITORY / "tests" / "data" / "toy_repo" / "spack_repo" / "toy"
INSTALLED = {"app-x", "libb", "liba"}
"""What is used to install app-x; tool-e is only built with."""

# Together, because the packages are built once in each process. Not within the fixture: servers would start before.
pytestmark = [
    pytest.mark.usefixtures("components"),
    pytest.mark.skipif(not ROOTS, reason="SPACKTAINERS_SPACK_ROOT names no Spack"),
    pytest.mark.xdist_group("mirror-hosts"),
]


@dataclass(frozen=True)
class Toys:
    """A site on which toy packages are installed, and the key that signs them."""

    site: MirrorSite
    scope: Path
    fingerprint: str

    @property
    def lock(self) -> Path:
        """Of app-x."""
        return self.site.environment / "spack.lock"

    def jc(self, *arguments: str, code: ExitCode = ExitCode.OK) -> str:
        """What `jc mirror` prints on stdout."""
        return run_jc(self.site, *arguments, code=code).stdout

    def create(self, mirror: str, *arguments: str, code: ExitCode = ExitCode.OK) -> str:
        """Fill a mirror with the binaries."""
        return self.jc("create", str(self.lock), *self._about(mirror), *arguments, code=code)

    def plan(self, mirror: str, code: ExitCode = ExitCode.OK) -> dict[str, str]:
        """The names of the packages whose binaries are needed, and how they stand to a mirror."""
        found = json.loads(self.jc("plan", str(self.lock), *self._about(mirror), "--no-sources", "--json", code=code))
        return {item["packages"][0].partition("@")[0]: item["status"] for item in found["items"]}

    def _about(self, mirror: str) -> tuple[str, ...]:
        own = ("--spack", str(self.site.program), "--cache-dir", str(self.site.folder / "answers"))
        return (*own, "--scope", str(self.scope), "--to", mirror, "--binaries")

    def user(self, folder: Path) -> User:
        """Somebody else, who trusts no key yet."""
        folder.mkdir()
        site = replace(self.site, folder=folder, variables={"SPACK_GNUPGHOME": str(folder / "gpg")})
        return User(site, install_scope(site, folder / "tree"), self)


@dataclass(frozen=True)
class User:
    """Somebody who installs from a mirror."""

    site: MirrorSite
    scope: Path
    toys: Toys

    def configure(self, mirror: str, *arguments: str) -> Path:
        """The scope that `jc mirror config` writes for a mirror."""
        scope = self.site.folder / "mirror-config"
        run_jc(self.site, "config", mirror, "-o", str(scope), *arguments)
        return scope

    def trust(self, mirror: str) -> None:
        """Trust the key of the toys."""
        run_jc(self.site, "trust", mirror, "--fingerprint", self.toys.fingerprint, "--spack", str(self.site.program))

    def install(self, mirror_scope: Path, *, ok: bool = True) -> str:
        """Install app-x from binaries alone."""
        command = ("-e", str(self.toys.site.environment), "install", "--use-buildcache=only", f"/{self._app}")
        return self.site.spack(*command, scopes=[self.scope, mirror_scope], ok=ok)

    def listed(self, mirror_scope: Path) -> str:
        """The packages that Spack finds in the index of a mirror."""
        return self.site.spack("buildcache", "list", "--allarch", scopes=[self.scope, mirror_scope])

    def require_installed(self) -> None:
        """app-x runs, with what it needs beside it, and none of it was built."""
        tree = self.site.folder / "tree"
        (program,) = tree.rglob("bin/app-x")
        done = subprocess.run([program], capture_output=True, text=True, check=True)
        assert done.stdout == f"app-x from {program.parent.parent}\n"
        assert {path.parent.name.rsplit("-", 2)[0] for path in tree.rglob(".spack")} == INSTALLED
        assert len(list(tree.rglob("binary_distribution"))) == len(INSTALLED)

    @property
    def _app(self) -> str:
        return hashes(self.toys.lock)["app-x"]


def run_jc(site: MirrorSite, *arguments: str, code: ExitCode = ExitCode.OK) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SPACK_GNUPGHOME": str(site.folder / "gpg"), **site.variables}
    argv = [sys.executable, "-m", "job_creator", "mirror", *arguments]
    done = subprocess.run(argv, env=environment, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def install_scope(site: MirrorSite, tree: Path) -> Path:
    """The recipes of the toys, the machine's compiler, and a tree."""
    scope = site.install_scope("scope", tree)
    (scope / "repos.yaml").write_text(dump({"repos": {"toy": str(RECIPES)}}))
    config = {"root": str(tree)}, str(site.folder / "sources"), [str(site.folder / "stage")]
    settings = dict(zip(("install_tree", "source_cache", "build_stage"), config, strict=True))
    # Indexes are kept by the URL of the mirror, and ports are used again.
    (scope / "config.yaml").write_text(dump({"config": {**settings, "binary_index_ttl": 0}}))
    return scope


@pytest.fixture(name="toys", scope="module")
def toys_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Toys]:
    require("patchelf")
    folder = tmp_path_factory.mktemp("toys")
    site = MirrorSite(Path(ROOTS[0]), folder, folder / "seeds")
    if site.spack("--version").startswith("0."):
        give_up("this Spack has no compilers among its packages")
    scope = install_scope(site, folder / "tree")
    site.environment.mkdir()
    environment = {"spack": {"specs": ["app-x"], "view": False, "concretizer": {"reuse": False}}}
    (site.environment / "spack.yaml").write_text(dump(environment))
    site.spack("-e", str(site.environment), "concretize", scopes=[scope])
    site.spack("-e", str(site.environment), "install", "--no-cache", scopes=[scope])
    backup = ("--backup", str(folder / "backup.asc"), "--spack", str(site.program))
    fingerprint = run_jc(site, "keys", "create", "Toys", "toys@example.org", *backup).stdout.strip()
    yield Toys(site, scope, fingerprint)
    # Otherwise GnuPG's agents would outlive the tests.
    for ring in folder.parent.rglob("gpg"):
        subprocess.run(["gpgconf", "--homedir", str(ring), "--kill", "all"], check=False)


def require_a_bucket_serves(toys: Toys, server: str, variable: str, folder: Path) -> None:
    """From a plan to a program that runs, through a bucket whose server the admin has in a variable."""
    patched = pytest.MonkeyPatch()
    patched.setenv(variable, server)
    mirror = f"s3://{new_bucket(s3_client(server))}/{uuid4().hex}"
    assert toys.plan(mirror, ExitCode.NOT_READY) == dict.fromkeys(INSTALLED, "missing")
    toys.create(mirror)
    assert toys.plan(mirror) == dict.fromkeys(INSTALLED, "present")
    found = json.loads(toys.jc("verify", mirror, "--deep", "-e", str(toys.lock), "--signed", "--json"))
    assert (found["complete"], found["signers"], found["counts"]["signed"]) == (True, [toys.fingerprint], 3)

    user = toys.user(folder / "user")
    scope = user.configure(mirror)
    assert "No binary found when cache-only was specified" in user.install(scope, ok=False)
    user.trust(mirror)
    # The user has the server from the scope.
    patched.undo()
    user.install(scope)
    user.require_installed()


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "S3_ENDPOINT_URL"])
def test_a_bucket_is_filled_with_binaries_and_installed_from(
    toys: Toys, variable: str, s3_environment: str, tmp_path: Path
) -> None:
    require_a_bucket_serves(toys, s3_environment, variable, tmp_path)


def test_a_bucket_of_a_server_that_checks_signatures_is_filled_and_installed_from(
    toys: Toys, ceph_environment: str, tmp_path: Path
) -> None:
    require_a_bucket_serves(toys, ceph_environment, "AWS_ENDPOINT_URL", tmp_path)


def test_a_registry_is_filled_with_binaries_and_installed_from(
    toys: Toys, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with run_registry(tmp_path, tls=True) as registry:
        mirror = f"oci://{registry.host}/site/cache"
        for variable in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
            monkeypatch.setenv(variable, str(registry.certificate))
        assert toys.plan(mirror, ExitCode.NOT_READY) == dict.fromkeys(INSTALLED, "missing")
        toys.create(mirror, "--no-sources", code=ExitCode.REFUSED)
        toys.create(mirror, "--unsigned", code=ExitCode.REFUSED)
        assert toys.plan(mirror, ExitCode.NOT_READY) == dict.fromkeys(INSTALLED, "missing")
        toys.create(mirror, "--no-sources", "--unsigned")
        assert toys.plan(mirror) == dict.fromkeys(INSTALLED, "present")
        found = json.loads(toys.jc("verify", mirror, "--deep", "-e", str(toys.lock), "--json"))
        assert (found["complete"], found["signers"], found["counts"]["specs"]) == (True, [], 3)
        assert [one["key"] for one in found["findings"]] == ["signatures"]

        user = toys.user(tmp_path / "user")
        scope = user.configure(mirror)
        assert "app-x@1.0" in user.listed(scope)
        user.install(scope)
        user.require_installed()


def verified(toys: Toys, mirror: str, folder: Path, *, is_carried: bool) -> dict[str, Any]:
    """What `jc verify` says of the packages of a SIF file with the lockfile of the toys."""
    ring = ["gpg", "--homedir", str(toys.site.folder / "gpg"), "--batch", "--armor", "--export"]
    keys = subprocess.run(ring, capture_output=True, check=True).stdout
    lock, pair = toys.lock.read_bytes(), key_pair()
    specs = cached_specs(lock, read_lockfile(lock, "spack.lock"))
    papers, problems = papers_of(specs, [open_shelf(mirror, None, os.environ)])
    assert problems == ()
    record = PublicationRecord("toys", "1.0", "1.0-amd64", "amd64", "refs/heads/main", True, "a" * 64)
    folder.mkdir()
    sif = signed_sif(folder, pair, {}, lock, record, inside=Inside(papers if is_carried else None))
    (folder / "site.asc").write_bytes(pair.public + keys)
    cache = [] if is_carried else ["--cache", mirror, "--deep"]
    result = jc("verify", str(sif.path), "--key", str(folder / "site.asc"), "--json", *cache)
    assert result.exit_code == ExitCode.OK, result.output
    return next(one for one in json.loads(result.stdout)["links"] if one["name"] == "packages")


@pytest.mark.parametrize("is_carried", [False, True], ids=["cache", "container"])
def test_what_a_real_spack_pushed_is_what_verify_proves(toys: Toys, tmp_path: Path, is_carried: bool) -> None:
    """Its manifests, signatures, spec files and archives agree with its lockfile, in the cache and in a container."""
    mirror = str(tmp_path / "mirror")
    toys.create(mirror)
    found = verified(toys, mirror, tmp_path / "sif", is_carried=is_carried)
    assert {one["name"].partition("@")[0] for one in found["links"]} == INSTALLED
    assert (found["state"], {one["state"] for one in found["links"]}) == ("holds", {"holds"})


def test_what_a_real_spack_pushed_to_a_registry_agrees_with_its_lockfile(
    toys: Toys, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with run_registry(tmp_path, tls=True) as registry:
        for variable in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
            monkeypatch.setenv(variable, str(registry.certificate))
        mirror = f"oci://{registry.host}/site/cache"
        toys.create(mirror, "--no-sources", "--unsigned")
        found = verified(toys, mirror, tmp_path / "sif", is_carried=False)
    links = {link["name"]: link["state"] for one in found["links"] for link in one["links"]}
    assert links == {"manifest and signature": "not checked", "spec file": "holds", "archive": "holds"}


def spackitor(*arguments: str, code: ExitCode = ExitCode.OK) -> str:
    """What `spackitor` prints on stdout."""
    done = CliRunner().invoke(tidy, ["-q", *arguments])
    assert done.exit_code == code, done.output
    return done.stdout


@pytest.mark.parametrize("filled", ["jc mirror create", "push", "push --base-image"])
def test_spackitor_tidies_a_registry_whoever_filled_it(
    toys: Toys, filled: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with run_registry(tmp_path, tls=True) as registry:
        mirror = f"oci://{registry.host}/site/cache"
        for variable in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
            monkeypatch.setenv(variable, str(registry.certificate))
        if filled == "jc mirror create":
            toys.create(mirror, "--no-sources", "--unsigned")
        else:
            push_image(registry, "bases/tiny", "1", "amd64", {})
            more = ["--base-image", f"{registry.host}/bases/tiny:1", "--tag", "all"] if "base" in filled else []
            push = ("buildcache", "push", "--unsigned", "--update-index", *more, mirror)
            toys.site.spack("-e", str(toys.site.environment), *push, scopes=[toys.scope])
        require_tidied(toys, mirror, tmp_path)
        if "base" in filled:
            image = read_manifest(registry, "site/cache", "all")
            layers = [read_blob(registry, "site/cache", one["digest"]) for one in image["layers"]]
            assert len(layers) >= 1 + len(INSTALLED)


def require_tidied(toys: Toys, mirror: str, folder: Path) -> None:
    """What spackitor says of such a cache is right, what it removes is gone, and what it brings back installs."""
    known = hashes(toys.lock)
    there = {one["name"] for one in json.loads(spackitor("list", mirror, "--json"))}
    assert there >= INSTALLED
    assert {one["name"] for one in json.loads(spackitor("list", mirror, "libb ^liba", "--json"))} == {"libb"}
    groups = json.loads(spackitor("stats", mirror, "--by", "package", "--json"))["groups"]
    assert {one["name"] for one in groups} == there
    spackitor("check", mirror, "--deep")
    spackitor("keep", mirror, "libb@1.0", "--as", "course/one")
    spackitor("purge", mirror, "liba", "--dependents", "--min-age", "0", code=ExitCode.REFUSED)
    spackitor("forget", mirror, "course/one")
    keep = folder / "keep"
    keep.write_text(known["libb"])
    clean = ("--max-age", "0", "--min-age", "0", "--max-delete", "100", "--keep-file", str(keep))
    spackitor("clean", mirror, *clean, "--dry-run")
    assert {one["name"] for one in json.loads(spackitor("list", mirror, "--json"))} == there
    spackitor("clean", mirror, *clean)
    assert {one["name"] for one in json.loads(spackitor("list", mirror, "--json"))} == {"liba", "libb"}
    collect_garbage(folder)
    user = toys.user(folder / "user")
    scope = user.configure(mirror)
    assert "app-x" not in user.listed(scope)
    user.install(scope, ok=False)
    spackitor("restore", mirror)
    spackitor("check", mirror, "--deep")
    assert "app-x" in user.listed(scope)
    user.install(scope)
    user.require_installed()
    spackitor("purge", mirror, "app-x", "--min-age", "0", "--no-quarantine", "--max-delete", "100")
    collect_garbage(folder)
    spackitor("check", mirror, "--deep")


def flip(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


def test_damaged_binaries_in_a_folder_are_pushed_again(toys: Toys, tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    options = ("--no-sources",)
    toys.create(str(mirror), *options)
    packed = [path for path in (mirror / "blobs").rglob("*") if path.is_file() and path.read_bytes()[:2] == b"\x1f\x8b"]
    for blob in packed[:3]:
        flip(blob)
    found = json.loads(toys.jc("verify", str(mirror), "--deep", "--json", code=ExitCode.DAMAGED))
    assert "--check --binaries --no-sources" in found["remedy"]
    assert "binaries added" in toys.create(str(mirror), *options, "--check")
    toys.jc("verify", str(mirror), "--deep", "-e", str(toys.lock), "--signed")


def test_of_damaged_binaries_a_registry_is_told_what_it_takes(toys: Toys, tmp_path: Path) -> None:
    with run_registry(tmp_path) as registry:
        mirror = f"oci+http://{registry.host}/site/cache"
        toys.create(mirror, "--no-sources", "--unsigned")
        damaged, *_, missing = (
            path
            for path in sorted((tmp_path / "data/docker/registry/v2/blobs").rglob("data"))
            if path.read_bytes()[:2] == b"\x1f\x8b"
        )
        missing.unlink()
        assert set(toys.plan(mirror, ExitCode.NOT_READY).values()) == {"present", "missing"}
        toys.create(mirror, "--no-sources", "--unsigned")
        assert set(toys.plan(mirror).values()) == {"present"}
        flip(damaged)
        remedy = json.loads(toys.jc("verify", mirror, "--deep", "--json", code=ExitCode.DAMAGED))["remedy"]
        assert "--check --binaries --no-sources --unsigned" in remedy
        said = toys.create(mirror, "--no-sources", "--unsigned", "--check", code=ExitCode.NOT_READY)
        assert "the registry keeps the damaged content that it has of it" in said


def test_of_a_registry_without_tls_spack_reads_no_index(toys: Toys, tmp_path: Path) -> None:
    """What a lockfile names is installed; what is in the cache is nowhere listed, and so not reused."""
    with run_registry(tmp_path) as registry:
        mirror = f"oci+http://{registry.host}/site/cache"
        toys.create(mirror, "--no-sources", "--unsigned")
        assert toys.plan(mirror) == dict.fromkeys(INSTALLED, "present")
        user = toys.user(tmp_path / "user")
        scope = tmp_path / "user" / "mirror-config"
        said = run_jc(user.site, "config", mirror, "-o", str(scope)).stderr
        assert "reads no index there" in said
        assert "app-x" not in user.listed(scope)
        user.install(scope)
        user.require_installed()
