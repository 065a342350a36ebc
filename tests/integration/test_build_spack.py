"""`jc build` with a real Spack: packages of our own are built, signed, pushed and found again in any build cache."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import boto3
import pytest

from tests.integration.components import require
from tests.integration.real_spack import ROOTS, alone
from tests.integration.registry_server import run_registry
from tests.integration.s3_server import KEYS, new_bucket, s3_server
from tests.integration.tiny_spack import TinySpack
from tests.integration.toy_environment import compiler
from tests.samples import REPOSITORY, SITE, TEMPLATE, write_repository

RECIPE = """\
version("1.0")
    {needs}

    def install(self, spec, prefix):
        {first}
        with open(prefix.join("file"), "w") as file:
            file.write(f"{{self.name}} from {{prefix}}")
"""
PACKAGES = {
    "one": RECIPE.format(needs="", first="pass"),
    "two": RECIPE.format(needs='depends_on("one", type=("build", "link"))', first="pass"),
    "broken": RECIPE.format(needs="", first='raise InstallError("no way")'),
}
COMPILED = """\
version("1.0")
    depends_on("c", type="build")

    def install(self, spec, prefix):
        with open("made.c", "w") as file:
            file.write("int answer(int x) { return 42 * x; }")
        Executable(env["CC"])("-O2", "-c", "made.c", "-o", "made.o")
        mkdirp(prefix.lib)
        install("made.o", prefix.lib)
"""
pytestmark = pytest.mark.usefixtures("components")


@dataclass(frozen=True)
class SignedBuilds:
    """A Spack with a key, and builds with it."""

    spack: TinySpack
    folder: Path
    mirror: str
    more: Mapping[str, str] = field(default_factory=dict)
    """Variables that the build cache needs."""

    @property
    def variables(self) -> dict[str, str]:
        """Those that Spack needs."""
        return {**alone(self.folder), "SPACK_GNUPGHOME": str(self.folder / "gpg")}

    def build(self, name: str, *wanted: str, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        """Build what is wanted, in a run of this name."""
        words = ["--mirror", self.mirror, "--spack", self.spack.program, "--scope", f"{self.folder}/configuration"]
        where = ["--run", f"{self.folder}/{name}", "--scratch", f"{self.folder}/scratch", "--least-free", "1MB"]
        environment = {**os.environ, **self.variables, **self.more, "XDG_CACHE_HOME": str(self.folder / "xdg")}
        command = [sys.executable, "-m", "job_creator", *options, "build", *wanted, *words, "-j", "2", *where]
        return subprocess.run(command, env=environment, cwd=REPOSITORY, capture_output=True, text=True, check=False)


@contextmanager
def signed_builds(
    root: str, folder: Path, mirror: str, more: Mapping[str, str] | None = None
) -> Iterator[SignedBuilds]:
    require("gpg")
    builds = SignedBuilds(TinySpack.made(root, folder, {**PACKAGES, "compiled": COMPILED}), folder, mirror, more or {})
    try:
        done = builds.spack.run("gpg", "create", "me", "me@example.org", **builds.variables)
        assert done.returncode == 0, done.stdout
        yield builds
    finally:
        gpg = {**os.environ, "GNUPGHOME": builds.variables["SPACK_GNUPGHOME"]}
        subprocess.run(["gpgconf", "--kill", "all"], env=gpg, check=False)


@contextmanager
def cache(kind: str, folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """A build cache of a kind, and the variables that it needs."""
    if kind == "folder":
        yield str(folder / "mirror"), {}
    elif kind == "s3":
        with s3_server() as url:
            keys = {**KEYS, "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}
            client = boto3.client(
                "s3", endpoint_url=url, aws_access_key_id="key", aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"]
            )
            # The Python of these tests has boto3.
            own = {"AWS_ENDPOINT_URL": url, "S3_ENDPOINT_URL": url, "SPACK_PYTHON": sys.executable}
            yield f"s3://{new_bucket(client)}/cache", {**keys, **own}
    else:
        (folder / "registry").mkdir()
        with run_registry(folder / "registry", tls=True) as registry:
            yield (
                f"oci://{registry.host}/group/cache",
                dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"), str(registry.certificate)),
            )


@pytest.mark.parametrize("kind", ["folder", "s3", "oci"])
@pytest.mark.parametrize("root", ROOTS)
def test_a_real_spack_builds_signs_and_goes_on(root: str, kind: str, tmp_path: Path) -> None:
    with cache(kind, tmp_path) as (mirror, more), signed_builds(root, tmp_path, mirror, more) as builds:
        folder = builds.spack.environment("all", {"specs": ["two", "broken"]})
        done = builds.spack.run("-e", str(folder), "concretize", **builds.variables)
        assert done.returncode == 0, done.stdout
        first = builds.build("first", str(folder))
        assert first.returncode == 12, first.stdout + first.stderr
        assert "2 built, 1 failed" in first.stdout
        if kind == "folder":
            files = [path for path in Path(mirror).rglob("*") if path.is_file()]
            assert len([path for path in files if b"BEGIN PGP SIGNED" in path.read_bytes()]) >= 2
        second = builds.build("second", str(folder))
        assert second.stdout.startswith("1 to build, 2 present, 0 external"), second.stdout + second.stderr


@pytest.mark.parametrize("root", ROOTS)
def test_a_definition_is_concretized_and_built(root: str, tmp_path: Path) -> None:
    with signed_builds(root, tmp_path, str(tmp_path / "mirror")) as builds:
        text = SITE.replace("gcc@13", compiler()).replace("v1.1.0", f"v{builds.spack.line}.0")
        text = text.replace("    target: x86_64_v3\n", "")
        if not builds.spack.line.compilers_are_dependencies:
            text = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("  packages: "))
        repository = write_repository(
            tmp_path / "repository",
            {
                "container_definitions/amd64/pair.yaml": "spack: {specs: [two]}\n",
                "spack.yaml": TEMPLATE.replace("    all: {providers: {mpi: [mpich]}}\n", "    all: {}\n"),
            },
            text,
        )
        options = ("-C", str(repository))
        first = builds.build("first", "amd64/pair", options=options)
        assert first.returncode == 0, first.stdout + first.stderr
        assert "2 built" in first.stdout
        assert builds.build("second", "amd64/pair", options=options).stdout.startswith("0 to build, 2 present")


@pytest.mark.parametrize("root", ROOTS)
def test_what_a_pool_compiled_is_installed_from_the_cache(root: str, tmp_path: Path) -> None:
    with signed_builds(root, tmp_path, str(tmp_path / "mirror")) as builds:
        if builds.spack.line.compilers_are_dependencies:
            pytest.skip("the wrapper of compilers is a package there, which these recipes lack")
        folder = builds.spack.environment("all", {"specs": ["compiled"]})
        done = builds.spack.run("-e", str(folder), "concretize", **builds.variables)
        assert done.returncode == 0, done.stdout
        (tmp_path / "durations.json").write_text('{"compiled": 3600}')
        pool = ("--compile-on", "mpi", "--ranks", "2", "--durations", str(tmp_path / "durations.json"))
        first = builds.build("first", str(folder), *pool, options=("-C", str(tmp_path)))
        assert first.returncode == 0, first.stdout + first.stderr
        (log,) = (tmp_path / "first").rglob("compiles.jsonl")
        made = [one for one in map(json.loads, log.read_text().splitlines()) if one["file"] == "made.c"]
        assert [(one["rank"], one["why"]) for one in made] == [(1, "")]
        # Only the cache may be used, and the hash is the one that was concretized.
        mirrors = json.dumps({"mirrors": {"built": f"file://{tmp_path}/mirror"}})
        (tmp_path / "configuration" / "mirrors.yaml").write_text(mirrors)
        installed = builds.spack.run("-e", str(folder), "install", "--cache-only", **builds.variables)
        assert installed.returncode == 0, installed.stdout
        (wanted,) = json.loads((folder / "spack.lock").read_bytes())["roots"]
        (found,) = (tmp_path / "software").rglob("made.o")
        assert found.parent.parent.name == f"compiled-1.0-{wanted['hash']}"
        plain = tmp_path / "plain"
        plain.mkdir()
        (plain / "made.c").write_text("int answer(int x) { return 42 * x; }")
        subprocess.run(["gcc", "-O2", "-c", "made.c"], cwd=plain, check=True)
        assert found.read_bytes() == (plain / "made.o").read_bytes()
