"""A container from a real lockfile: the builder image with a real Spack, a signed build cache, and what comes out.

`SPACKTAINERS_SPACK_ROOT` names the root of a Spack, a git checkout as in `test_spack.py`. Packages come from the Debian
mirror and from PyPI, which takes minutes, so this does not run without being asked for.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from foundation.spack.releases import SpackLine
from job_creator.scripts.rendering import render_text
from tests.integration.base_images import Buildah, buildah_in, debian_root, import_root, shared_folder
from tests.integration.components import require
from tests.samples import REPOSITORY

ROOTS = [root for root in os.environ.get("SPACKTAINERS_SPACK_ROOT", "").split(":") if root]

pytestmark = [
    pytest.mark.usefixtures("components"),
    pytest.mark.skipif(not ROOTS, reason="SPACKTAINERS_SPACK_ROOT names no Spack"),
    pytest.mark.xdist_group("images"),
]

BASE = "localhost/base"
BUILDER = "localhost/builder"
IMAGE = "localhost/container"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
_NOT_NEEDED = ("dev", "proc", "run", "sys", "tmp", "var/cache")
ENVIRONMENT: dict[str, Any] = {
    "specs": ["bzip2@1.0.8", "libsigsegv@2.14"],
    "view": "/opt/view",
    "concretizer": {"unify": True, "reuse": False},
    "config": {"install_tree": {"root": "/opt/software"}},
    "packages": {
        "all": {"require": "target=x86_64"},
        "diffutils": {"buildable": False, "externals": [{"spec": "diffutils@3.8", "prefix": "/usr"}]},
        "gmake": {"buildable": False, "externals": [{"spec": "gmake@4.3", "prefix": "/usr"}]},
    },
}
PADDED = {**ENVIRONMENT, "config": {"install_tree": {"root": "/opt/software", "padded_length": 128}}}
SOURCES = {"url": "file:///job/sources", "source": True, "binary": False}
CACHE = {"url": "file:///cache"}


@dataclass(frozen=True)
class Cache:
    """A filled build cache, the lockfile of what is in it, and the buildah that has the builder image."""

    buildah: Buildah
    folder: Path
    lock: bytes


def _git(folder: str, *arguments: str) -> str:
    command = ["git", "-c", f"safe.directory={folder}", "-C", folder, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _clone(repository: str, target: Path) -> None:
    """The current commit and the one before, apart from whatever else the repository refers to."""
    _git(repository, "clone", "--quiet", "--bare", "--depth", "3", f"file://{repository}", str(target))


def _recipes(root: str) -> str | None:
    """The repository of the package recipes that a Spack is set up with, where it is not its own."""
    configured = Path(root, "etc", "spack", "repos.yaml")
    found = re.search(r"builtin: (.*)/repos/spack_repo/builtin", configured.read_text() if configured.exists() else "")
    return found[1] if found else None


def _keys(folder: Path) -> None:
    """A key pair as a site has it: the private key in secret.asc, the public one in public.asc."""
    home = folder / "gnupg"
    home.mkdir(mode=0o700)
    gpg = [require("gpg"), "--homedir", str(home), "--batch", "--passphrase", ""]
    subprocess.run([*gpg, "--quick-gen-key", "CI <ci@example.org>", "rsa2048", "sign", "never"], check=True)
    for option, name in (("--export-secret-keys", "secret.asc"), ("--export", "public.asc")):
        subprocess.run([*gpg, "--armor", "--output", str(folder / name), option], check=True)
    subprocess.run([require("gpgconf"), "--homedir", str(home), "--kill", "all"], check=True)


def _certificates(folder: Path) -> list[str]:
    """Options that let pip in a build trust whom this machine trusts."""
    if not Path(CERTIFICATES).exists():
        return []
    (folder / "pip.conf").write_text("[global]\ncert = /certificates.crt\n")
    return ["--volume", f"{CERTIFICATES}:/certificates.crt:ro", "--volume", f"{folder}/pip.conf:/etc/pip.conf:ro"]


def _build_builder(buildah: Buildah, root: str, folder: Path) -> None:
    """Builds the builder image as its job does, with its sources in folders."""
    arguments = {
        "BASE_IMAGE": BASE,
        "SPACK_REPOSITORY": "/source/spack",
        "SPACK_COMMIT": _git(root, "rev-parse", "HEAD"),
    }
    _clone(root, folder / "sources" / "spack")
    recipes = _recipes(root)
    if recipes:
        commit = _git(recipes, "rev-parse", "HEAD")
        arguments |= {"PACKAGES_REPOSITORY": "/source/packages", "PACKAGES_COMMIT": commit}
        _clone(recipes, folder / "sources" / "packages")
    mirrors = {"mirrors": {"cache": {"url": "s3://cache", "access_pair": {"id_variable": "A", "secret_variable": "B"}}}}
    given = [part for item in arguments.items() for part in ("--build-arg", "=".join(item))]
    given += ["--build-arg", f"MIRRORS={json.dumps(mirrors)}", "--secret", f"id=public_key,src={folder}/public.asc"]
    # Git refuses the repositories of other users.
    safe = ["--volume", f"{folder}/gitconfig:/root/.gitconfig:ro"]
    (folder / "gitconfig").write_text("[safe]\n\tdirectory = *\n")
    given += ["--volume", f"{folder}/sources:/source:ro", *safe, *_certificates(folder)]
    buildah("build", "--pull-never", *given, "--tag", BUILDER, REPOSITORY / "builder")


@pytest.fixture(scope="module", params=ROOTS)
def cache(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Cache:
    buildah = buildah_in(tmp_path_factory.mktemp("buildah"))
    import_root(buildah, debian_root(shared_folder(tmp_path_factory)), BASE, _NOT_NEEDED)
    work = tmp_path_factory.mktemp("work")
    _keys(work)
    _build_builder(buildah, request.param, work)

    stored = tmp_path_factory.mktemp("cache")
    (work / "spack.yaml").write_text(
        json.dumps({"spack": {**PADDED, "mirrors:": {"sources": SOURCES, "cache": CACHE}}})
    )
    shutil.copy(Path(__file__).parent / "prepare_spack_cache.sh", work)
    container = buildah("from", "--pull-never", BUILDER).strip()
    volumes = ("--volume", f"{work}:/job", "--volume", f"{stored}:/cache")
    buildah("run", *volumes, "--workingdir", "/job", container, "--", "bash", "prepare_spack_cache.sh")
    buildah("rm", container)
    return Cache(buildah, stored, (work / "spack.lock").read_bytes())


def _build(cache: Cache, folder: Path, binaries: Path) -> tuple[int, str]:
    generated = folder / "generated"
    generated.mkdir()
    shutil.copytree(REPOSITORY / "spacktainer" / "image", folder / "spacktainer" / "image")
    (generated / "spack.lock").write_bytes(cache.lock)
    (generated / "spack.yaml").write_text(json.dumps({"spack": ENVIRONMENT}))
    (generated / "mirrors.yaml").write_text(json.dumps({"mirrors:": {"cache": CACHE}}))
    (generated / "smoke_tests.sh").write_text("#!/bin/sh\nset -e\nbzip2 --help\n")
    dockerfile = render_text(
        (REPOSITORY / "spacktainer" / "Dockerfile.j2").read_text(),
        builder=BUILDER,
        runtime=BASE,
        lock="generated/spack.lock",
        folder="generated",
        image_files="spacktainer/image",
        secrets=[],
        paths=["/opt/software", "/opt/view"],
        path_directories=["/opt/view/bin"],
        files=[],
        source_builds=False,
        check_signatures=True,
        signed=False,
        epilogue=None,
    )
    (generated / "Dockerfile").write_text(dockerfile)
    options = ("--pull-never", "--volume", f"{binaries}:/cache:ro", "--file", "generated/Dockerfile", "--tag", IMAGE)
    return cache.buildah.attempt("build", *options, ".", cwd=folder)


def test_the_builder_image_has_what_jobs_expect(cache: Cache) -> None:
    def run(*command: str) -> str:
        return cache.buildah.run(BUILDER, "bash", "-c", " ".join(command))

    assert re.fullmatch(r"[a-z-]+@[\d.]+(,[a-z-]+@[\d.]+)*\n", run("cat /opt/spack-compilers.txt"))
    assert "s3://cache" not in run("spack mirror list")
    assert "s3://cache" in run('spack --config-scope "$SPACK_MIRRORS" mirror list')
    assert "ci@example.org" in run("spack gpg list --trusted")
    # 'spack ci' compares a commit with the one before.
    assert run("git -C /opt/spack rev-list --count HEAD^..HEAD") == "1\n"
    assert run("spack python -c 'import boto3, clingo; print(1)'") == "1\n"
    assert run("ls /var/lib/apt/lists") == ""


def test_the_lockfile_is_installed_from_the_signed_cache(cache: Cache, tmp_path: Path) -> None:
    code, printed = _build(cache, tmp_path, cache.folder)
    assert code == 0, printed
    assert "Good signature" in printed
    run = cache.buildah.run
    assert run(IMAGE, "cat", "/opt/spack-environment/spack.lock").encode() == cache.lock
    packages = run(IMAGE, "sh", "-c", "find /opt/software -path '*/.spack/spec.json'")
    assert "__spack_path_placeholder__" not in packages
    names = {re.sub(r"-\d.*", "", Path(path).parent.parent.name) for path in packages.split()}
    assert names == {"bzip2", "gcc-runtime", "libsigsegv"}
    text = "a b\n" * 100
    script = f"command -v bzip2; printf '%s' '{text}' | bzip2 | bunzip2 | wc -c; test -e /opt/view/lib/libsigsegv.so"
    assert run(IMAGE, "sh", "-c", script, entry_point=True) == f"/opt/view/bin/bzip2\n{len(text)}\n"
    assert run(IMAGE, "bash", "-c", "command -v spack gcc || echo neither") == "neither\n"
    assert run(IMAGE, "/bin/sh", "/.singularity.d/test", entry_point=True).startswith("bzip2, a block-sorting file")


@pytest.mark.parametrize("fault", ["missing", "changed"])
def test_nothing_is_compiled_or_taken_without_its_signature(cache: Cache, tmp_path: Path, fault: str) -> None:
    binaries = tmp_path / "binaries"
    shutil.copytree(cache.folder, binaries)
    specs = [path for path in binaries.rglob("*libsigsegv*") if path.is_file() and ".spec." in path.name]
    assert specs
    for path in specs:
        if fault == "missing":
            path.unlink()
        else:
            # Still valid JSON, but not what was signed.
            signed = path.read_text()
            path.write_text(signed.replace("{", '{"changed": 1,', 1))
            assert "BEGIN PGP SIGNED MESSAGE" in signed
    project = tmp_path / "project"
    project.mkdir()
    code, printed = _build(cache, project, binaries)
    assert code != 0
    assert "libsigsegv" in printed
    assert "Executing phase" not in printed


def test_the_tested_spack_is_one_that_is_supported(cache: Cache) -> None:
    version = cache.buildah.run(BUILDER, "bash", "-c", "spack --version")
    assert SpackLine.parse(".".join(version.split(".")[:2]))
